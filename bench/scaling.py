"""The law of size and length: its runs, its fit, and whether it covers a run left out.

    python -m bench.dial_runs stories.txt char --width 64 --layers 2 --lengths 250,500 >> runs.jsonl
    python -m bench scaling keep runs.jsonl ...     into ../tinygpt/planning/scaling.json
    python -m bench scaling                         the fit, and each run left out in turn

Read first: ../tinygpt/planning/scaling.py, dial_runs.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import click
import numpy as np

from tinygpt.planning.scaling import FILE, Law, fit, floors, runs
from tinygpt.text.stories import one_story
from tinygpt.text.stories.teller import Dice

T = TypeVar("T")

FROM = ("bench.dial_runs on 10 MB of stories (seed 0), letters, batch 8 of 128, Muon at 1e-2: "
        "parameters in blocks, tokens, nats a token held out")


@click.group(invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Fit the law of size and length to our own runs."""
    if context.invoked_subcommand is None:
        show()


@command.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
def keep(files: tuple[Path, ...]) -> None:
    """Make the file that ships of dial_runs' lines."""
    kept = []
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            run = json.loads(line)
            size = 12 * run["layers"] * run["width"] ** 2
            kept.append([size, run["tokens"], round(run["bits"] * math.log(2), 4)])
    rows = ",\n  ".join(json.dumps(row) for row in sorted(kept))
    text = f'{{"from": {json.dumps(FROM)},\n "runs": [\n  {rows}\n ]}}\n'
    FILE.write_text(text, encoding="utf-8")
    click.echo(f"{FILE}: {len(kept)} runs")


class CountingDice(Dice):
    """Dice that add up how surprising their throws were, in nats."""

    nats = 0.0

    def chance(self, p: float) -> bool:
        thrown = super().chance(p)
        self.nats -= math.log(p if thrown else 1 - p)
        return thrown

    def pick(self, options: Sequence[T]) -> T:
        thrown = super().pick(options)
        self.nats -= math.log(sum(one == thrown for one in options) / len(options))
        return thrown

    def several(self, options: Sequence[T], count: int) -> list[T]:
        self.nats += sum(math.log(len(options) - i) for i in range(count))
        return super().several(options, count)


def entropy(stories: int) -> float:
    """Nats a letter of the program that writes the stories: no model's loss is less, for long.

    An upper bound, since not every throw shows. Throws for a length or a form (two to four a story)
    are not counted.
    """
    nats = letters = 0.0
    for seed in range(stories):
        dice = CountingDice(np.random.default_rng(seed))
        letters += len(one_story(dice).text) + 1
        nats += dice.nats
    return nats / letters


def show() -> None:
    """Print the fit with its spread, and each run by the law of the others."""
    kept = runs()
    law = Law.of(kept)
    for name, value, *drawn in zip(law.fit._fields, law.fit, *law.draws, strict=True):
        low, high = sorted(drawn)[len(drawn) // 20], sorted(drawn)[-len(drawn) // 20]
        click.echo(f"{name:12} {value:10.4g}   nine of ten: {low:.4g} to {high:.4g}")
    found, most = floors(kept), entropy(200)
    click.echo(f"floors that fit about as well: {found[0]:.3f} to {found[-1]:.3f}; of the stories' "
               f"own dice, counted: {most:.3f} nats a letter at most")
    covered = 0
    for i, run in enumerate(kept):
        others = Law.of([*kept[:i], *kept[i + 1 :]], draws=60)
        low, high = others.interval(run.parameters, run.tokens)
        inside = low <= run.loss <= high
        covered += inside
        click.echo(f"{run.parameters:12,.0f} {run.tokens:12,.0f} {run.loss:.4f} nats; without it "
                   f"{low:.4f} to {high:.4f}{'' if inside else '   outside'}")
    click.echo(f"{covered} of {len(kept)} covered")
    largest = max(run.parameters for run in kept)  # further out than one run
    left = fit([run for run in kept if run.parameters < largest])
    for run in kept:
        if run.parameters == largest:
            said = left.loss(run.parameters, run.tokens)
            click.echo(f"the largest size left out: {run.tokens:,.0f} tokens {run.loss:.4f}, "
                       f"said {said:.4f} ({said / run.loss - 1:+.1%})")


if __name__ == "__main__":
    command()
