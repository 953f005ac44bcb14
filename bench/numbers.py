"""An encoder-decoder that writes a number's name as digits, and back.

    python -m bench numbers                       the shipped recipe, one seed
    python -m bench numbers --seeds 3 --json

It learns from some tens of thousands of numbers below a million, each in both directions, and is
asked for numbers that it never saw in either: an answer counts if it is right to the last
character. Numbers of one to six digits have the same share, as far as there are so many.

Read next: ../tinygpt/text/numbers.py, ../tinygpt/configs/numbers.toml.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bench import timing

SHOWN = 5  # mistakes


def measure(overrides: Sequence[str], seed: int) -> dict[str, Any]:
    """Train with a seed and ask for all held-out numbers in both directions."""
    import tinygpt
    from tinygpt.config import load_config
    from tinygpt.runs.run import Run
    from tinygpt.seq2seq.objective import Seq2Seq

    config = load_config("numbers", [f"training.seed={seed}", *overrides])
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        outcome = tinygpt.train(config, folder)
        seconds = time.perf_counter() - start
        opened = tinygpt.open(folder)
        held_out = Seq2Seq.reopen(Run.open(Path(folder)), print).pairs.held_out
    names, digits = (list(texts) for texts in zip(*held_out, strict=True))
    found: dict[str, Any] = {
        "seed": seed, "seconds": seconds, "loss": outcome.val_loss, "held_out": len(names),
        "parameters": opened.model.count_parameters(), "wrong": [],
    }
    for direction, sources, targets in (("digits", names, digits), ("names", digits, names)):
        written = opened.translate(sources)
        wrong = [each for each in zip(sources, written, targets, strict=True) if each[1] != each[2]]
        found[direction] = 1 - len(wrong) / len(sources)
        found["wrong"] += wrong[:SHOWN]
    return found


@click.command()
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True)
@click.option("--set", "overrides", multiple=True, help="section.key=value of the recipe.")
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each seed.")
def command(seeds, overrides, threads, as_json):
    """Numbers by name and by digits, written by an encoder-decoder: exact on held-out ones."""
    import kernels

    kernels.set_num_threads(threads)
    if not as_json:
        click.echo(timing.headline())
    for seed in range(seeds):
        found = measure(overrides, seed)
        if as_json:
            click.echo(json.dumps({**found, "commit": timing.commit()}))
            continue
        click.echo(
            f"seed {seed}: {found['held_out']:,} held-out numbers; as digits "
            f"{found['digits']:.2%} exact, by name {found['names']:.2%}; loss {found['loss']:.5f}; "
            f"{found['parameters']:,} parameters, {found['seconds']:.0f} s"
        )
        for source, written, right in found["wrong"]:
            click.echo(f"  {source} -> {written} (right: {right})")


if __name__ == "__main__":
    command()
