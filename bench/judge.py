"""A judge of answers, trained here and tried on pairs that it never saw.

    python -m bench judge                       3,500 steps, some minutes
    python -m bench judge --judge URL|RUN       another judge on the same pairs

Read next: ../tinygpt/evaluation/judge.py.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import click

from bench import timing

UNSEEN = 1_000_003  # the seed of what it is tried on


def train(place: Path, steps: int, seed: int) -> float:
    """Teach a model to answer questions about small worlds, in `place`; returns the seconds."""
    from tinygpt.config import load_config
    from tinygpt.training.begin import begin
    from tinygpt.training.trainer import Trainer

    config = load_config("world", [
        f"training.seed={seed}", f"training.steps={steps}", "training.sample_every=100000",
    ])
    start = time.perf_counter()
    Trainer(begin(config, place)).run()
    return time.perf_counter() - start


@click.command()
@click.option("--steps", type=click.IntRange(1), default=3500, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0)
@click.option("--pairs", type=click.IntRange(1), default=500, show_default=True)
@click.option("--judge", "given", help="Do not train one: a run, a file or an address.")
@click.option("--keep", type=click.Path(path_type=Path), help="Folder for what is trained.")
@click.option("--json", "as_json", is_flag=True)
def command(steps, seed, pairs, given, keep, as_json):
    """A judge's agreement with the truth, in both orders."""
    from tinygpt.evaluation.judge import judged, open_judge, world_pairs

    with tempfile.TemporaryDirectory() as folder:
        place, seconds = keep or Path(folder) / "judge", 0.0
        if given is None:
            seconds = train(place, steps, seed)
            given = str(place)
        found = judged(open_judge(given), world_pairs(pairs, UNSEEN))
    if as_json:
        click.echo(json.dumps({
            "steps": steps, "seed": seed, "seconds": seconds, "asked": found.asked,
            "said": found.said, "right": found.right, "kappa": found.kappa, "same": found.same,
            "trusted": found.trusted, "commit": timing.commit(),
        }))
        return
    click.echo(timing.headline())
    click.echo(f"{steps} steps, {seconds:.0f} s: {found}")
