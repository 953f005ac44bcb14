"""What a teacher is worth: students who hear it, and the same students who read the text alone.

    python -m bench distill TEACHER --student S --out FOLDER             goes on where it stands
    python -m bench distill TEACHER --student S --out FOLDER --taught temperature=2

TEACHER is a run. Of each seed two students are trained, one after the other, as `tinygpt distill
TEACHER --student S` and with `--soft 0`: from the same weights, on the same rows in the same order,
with the same recipe. So what is compared is pairs, and the seed's luck drops out. What counts is
the loss on all that the teacher's run held out.

Read next: ../tinygpt/compression/distillation.py.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

LINES = "distill.jsonl"
ARMS = ("alone", "taught")
BAR = 0.02  # nats


def student(
    teacher: str, shape: str, taught: Mapping[str, str], changes: Sequence[str], out: Path
) -> float:
    """Train one; returns its loss on what was held out, nats a token.

    shape: a configuration's name or file.  taught: settings of [distillation], as text.
    """
    from tinygpt.config import from_dict, load_config, override
    from tinygpt.runs.run import Run
    from tinygpt.training.begin import begin
    from tinygpt.training.trainer import Trainer

    own = Run.open(Path(teacher)).config.to_dict()
    values = {
        **load_config(shape).to_dict(), "objective": "distillation", "data": own["data"],
        "tokenizer": own["tokenizer"], "distillation": {"teacher": teacher},
    }
    values = override(values, [
        "training.eval_every=none", "training.sample_every=none", "training.checkpoint_every=none",
        *(f"distillation.{key}={value}" for key, value in taught.items()), *changes,
    ])
    loss = Trainer(begin(from_dict(values), out)).run().val_loss
    if loss is None:
        raise click.UsageError(f"{teacher} held out nothing to measure on, or it was stopped.")
    return loss


def told(lines: Sequence[Mapping[str, Any]]) -> str:
    """A table of the seeds that have both arms, and what the teacher was worth."""
    from tinygpt.evaluation.intervals import mean

    losses = {(line["seed"], line["arm"]): line["loss"] for line in lines}
    seeds = [seed for seed, arm in losses if arm == ARMS[0] and (seed, ARMS[1]) in losses]
    rows = ["| seed | text alone | taught | gained, nats |", "|---|---|---|---|"]
    gains = [losses[seed, "alone"] - losses[seed, "taught"] for seed in seeds]
    for seed, gain in zip(seeds, gains, strict=True):
        alone, taught = (losses[seed, arm] for arm in ARMS)
        rows.append(f"| {seed} | {alone:.4f} | {taught:.4f} | {gain:+.4f} |")
    if gains:
        found = mean(gains, None, np.random.default_rng(0))
        between = f", 95 % {found.low:.4f} to {found.high:.4f}" if found.known else ""
        rows.append(f"gained {found.value:.4f} nats a token{between}; bar {BAR}, "
                    f"passed by {sum(gain >= BAR for gain in gains)} of {len(gains)} seeds")
    return "\n".join(rows)


@click.command()
@click.argument("teacher", type=click.Path(exists=True, file_okay=False))
@click.option("--student", "shape", default="S", show_default=True, help="A configuration.")
@click.option("--out", "folder", type=click.Path(path_type=Path), required=True)
@click.option("--seeds", default="1337,1,2,3,4", show_default=True)
@click.option("--taught", multiple=True, metavar="KEY=VALUE", help="Of [distillation].")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Of both students.")
def command(teacher, shape, folder, seeds, taught, changes):
    """A student of a teacher beside the same student of the text alone, seed by seed."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LINES
    lines = [json.loads(one) for one in path.read_text().splitlines()] if path.exists() else []
    done = {(line["seed"], line["arm"]) for line in lines}
    how = {"alone": {"soft": "0"}, "taught": dict(one.split("=", 1) for one in taught)}
    for seed in map(int, seeds.split(",")):
        for arm in ARMS:
            if (seed, arm) in done:
                continue
            began = time.process_time()
            out = folder / f"{arm}-{seed}"
            loss = student(
                teacher, shape, how[arm], [*changes, f"training.seed={seed}"], out
            )
            line = {"seed": seed, "arm": arm, "loss": loss, "cpu": time.process_time() - began}
            lines.append(line)
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            click.echo(f"seed {seed}, {arm}: {loss:.4f} nats a token, {line['cpu']:.0f} s of CPU")
    click.echo(told(lines))
