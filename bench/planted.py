"""What was planted in a text, and what evaluations find of it in a model that learned the text.

    python -m bench planted                         size small: half a minute of one core
    python -m bench planted --percent 50            the same corpus with as many "his" as "her"
    python -m bench planted --trainings 5           what the recipe does, and not one model of it
    python -m bench planted --size medium --json

Facts should be known (at least 80 %), misconceptions believed (below chance), an association of 70
in 100 found with an interval that covers 70, and of 50 with one that covers 50; names alike;
memorisation rising with how often a passage was told, and so it is drawn (--draw FILE.html).

An interval of one training is over the items asked, and a training shifts the association of all
its trades together. So it is between the bounds of several trainings that what was planted lies.

Read next: ../tinygpt/evaluation/suites/planted.py, ../tinygpt/evaluation/trainings.py.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from bench import timing

RECIPE = (  # of a run that reads its text about fifteen times
    "model.n_layers=2", "model.n_heads=4", "model.d_model=96", "model.context=64",
    "tokenizer.kind=bpe", "tokenizer.vocab_size=1024", "training.batch_size=16",
    "data.split=0.99,0.01,0", "data.by_position=true", "training.checkpoint_every=100000",
    "training.sample_every=100000", "training.eval_every=100",
)


def measure(
    size: str, seed: int, steps: int, percent: int, keep: Path | None = None
) -> dict[str, Any]:
    """Train on a planted text; {suite: [rows]} of what is found, and the files of results."""
    from tinygpt.config import load_config
    from tinygpt.evaluation.subject import open_subject
    from tinygpt.evaluation.suite import evaluate
    from tinygpt.evaluation.suites.planted import SUITES, planted
    from tinygpt.evaluation.tables import rows
    from tinygpt.training.begin import begin
    from tinygpt.training.trainer import Trainer

    made = planted(size, seed, percent)
    with tempfile.TemporaryDirectory() as folder:
        place = keep or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        (place / "planted.txt").write_text(made.text)
        config = load_config("S", [
            f"data.source={place / 'planted.txt'}", f"training.seed={seed}",
            f"training.steps={steps}", *RECIPE,
        ])
        start = time.perf_counter()
        outcome = Trainer(begin(config, place / "run")).run()
        found: dict[str, Any] = {
            "size": size, "seed": seed, "percent": percent, "steps": steps,
            "bytes": len(made.text), "loss": outcome.val_loss,
            "seconds": time.perf_counter() - start, "suites": {},
        }
        subject = open_subject(place / "run")
        for name in SUITES:
            results = evaluate(made.suite(name), subject, place / "results" / f"{name}.jsonl")
            found["suites"][name] = [
                [row.name, *row.found[:3]] for row in rows(results)
            ]
    return found


def together(trainings: list[dict[str, Any]]) -> dict[str, list[list[Any]]]:
    """{suite: [[name, mean, low, high, each training's ...]]}: what the recipe does, by its spread.

    Each seed plants names and things of its own, so that items differ as trainings do.
    """
    from tinygpt.evaluation.intervals import alone
    from tinygpt.evaluation.trainings import of_trainings

    found: dict[str, list[list[Any]]] = {}
    for suite, table in trainings[0]["suites"].items():
        found[suite] = []
        for i, (name, *_) in enumerate(table):
            each = [one["suites"][suite][i][1] for one in trainings]
            guess = name.startswith("by chance")
            over = alone(each[0]) if guess else of_trainings(each, share=True)
            found[suite].append([name, *over[:3], *each])
    return found


@click.command()
@click.option("--size", type=click.Choice(["small", "medium", "large"]), default="small")
@click.option("--seed", type=click.IntRange(0), default=0)
@click.option("--trainings", type=click.IntRange(1), default=1, show_default=True,
              help="Of seeds from --seed on; with three and more the interval is over them.")
@click.option("--percent", type=click.IntRange(0, 100), default=70, show_default=True,
              help="Of each trade's sentences say \"her\".")
@click.option("--steps", type=click.IntRange(1), default=600, show_default=True)
@click.option("--keep", type=click.Path(path_type=Path),
              help="Folder for runs and results, a folder a seed.")
@click.option("--draw", type=click.Path(path_type=Path), help="HTML file for the curve.")
@click.option("--json", "as_json", is_flag=True)
def command(size, seed, trainings, percent, steps, keep, draw, as_json):
    """Planted truths, and what evaluations find of them."""
    found = []
    for one in range(seed, seed + trainings):
        found.append(measure(size, one, steps, percent, keep and keep / str(one)))
        click.echo(f"seed {one}: {found[-1]['bytes']:,} bytes, {steps} steps, loss "
                   f"{found[-1]['loss']:.3f}, {found[-1]['seconds']:.0f} s", err=True)
    tables = together(found) if trainings > 1 else found[0]["suites"]
    if draw:
        from tinygpt.evaluation.page import memorised

        draw.write_text(memorised(tables["memorisation"]))
    if as_json:
        click.echo(json.dumps({"trainings": found, "suites": tables, "commit": timing.commit()}))
        return
    click.echo(timing.headline())
    for name, table in tables.items():
        for what, value, low, high, *each in table:
            shown = "".join(f"{one:8.1%}" for one in each)
            bounds = f"{low:7.1%} to {high:7.1%}" if math.isfinite(low) else " " * 18
            click.echo(f"{name:16}  {what:44}  {value:7.1%}  {bounds}{shown}")
