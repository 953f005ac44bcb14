"""Tasks of known answers, learned from conversations: right to the letter, and ended, or not.

    python -m bench tasks                          addition and world, one seed
    python -m bench tasks addition --seeds 3 --json
    python -m bench tasks addition --masked-end    the control: the token that ends is not learned

Held-out questions were never seen. An answer counts if it is right to the last character (of
couplets: if the rule holds), and as ended if the model ended it by itself; with --masked-end it has
never been shown how, and that this is seen is the test of the test.

Read next: ../tinygpt/text/tasks/__init__.py, ../tinygpt/configs/addition.toml.
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


def measure(
    task: str, overrides: Sequence[str], seed: int, masked_end: bool
) -> dict[str, Any]:
    """Train a shipped recipe with a seed and ask all held-out questions."""
    from tinygpt.config import load_config
    from tinygpt.training.begin import begin
    from tinygpt.training.trainer import Trainer

    config = load_config(task, [f"training.seed={seed}", *overrides])
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        session = begin(config, Path(folder) / "run")
        objective: Any = session.objective
        if masked_end:
            for sample in objective.samples:
                sample.learned[-1] = False
        outcome = Trainer(session).run()
        seconds = time.perf_counter() - start
        score = objective.score(session.model)
    return {
        "task": task, "seed": seed, "masked_end": masked_end, "seconds": seconds,
        "loss": outcome.val_loss, "parameters": objective.parameters, "asked": score.asked,
        "right": score.right / score.asked, "ended": score.ended / score.asked,
        "wrong": score.wrong[:SHOWN],
    }


@click.command()
@click.argument("tasks", nargs=-1)
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True)
@click.option("--masked-end", is_flag=True, help="Do not learn the token that ends an answer.")
@click.option("--set", "overrides", multiple=True, help="section.key=value of the recipe.")
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each seed.")
def command(tasks, seeds, masked_end, overrides, threads, as_json):
    """Tasks learned from conversations: held-out answers that are right, and that end."""
    import kernels

    kernels.set_num_threads(threads)
    if not as_json:
        click.echo(timing.headline())
    for task in tasks or ("addition", "world"):
        for seed in range(seeds):
            found = measure(task, overrides, seed, masked_end)
            if as_json:
                click.echo(json.dumps({**found, "commit": timing.commit()}))
                continue
            click.echo(
                f"{task}, seed {seed}: {found['asked']:,} held-out questions, {found['right']:.1%} "
                f"right, {found['ended']:.1%} ended; loss {found['loss']:.5f}; "
                f"{found['parameters']:,} parameters, {found['seconds']:.0f} s"
                + ", end not learned" * masked_end
            )
            for wrong in found["wrong"]:
                click.echo(f"  {wrong}")


if __name__ == "__main__":
    command()
