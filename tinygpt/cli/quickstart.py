"""`tinygpt quickstart`: options in, one call out."""

from __future__ import annotations

import itertools
from pathlib import Path

import click

from tinygpt.cli.paths import Place


@click.command()
@click.option("--out", type=Place(path_type=Path), help="Folder for the run.  [quickstart]")
@click.option("--minutes", default=2.0, show_default=True, help="How long to train.")
def quickstart(out, minutes):
    """Train a GPT on stories for about two minutes and read what it writes.

    Writes its own training text, trains a tokenizer and a model of two million parameters, and
    shows samples before, during and after. Needs nothing but this machine.
    """
    from tinygpt.screens import quickstart as script
    from tinygpt.screens.console import Screen

    if not 0 < minutes < float("inf"):
        raise click.BadParameter(f"{minutes} must be a number above 0", param_hint="--minutes")
    return script.quickstart(out or _free_name(), minutes, Screen())


def _free_name() -> Path:
    """quickstart, quickstart-2, ...: the first that does not exist here."""
    names = itertools.chain(["quickstart"], (f"quickstart-{i}" for i in itertools.count(2)))
    return next(Path(name) for name in names if not Path(name).exists())
