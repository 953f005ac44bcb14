"""Wall time to a validation loss on Shakespeare's characters, from a cold process start.

    python -m bench race --peer torch                      nanoGPT's recipe in PyTorch
    python -m bench race                                   the same recipe, ours
    python -m bench race --config S                        our own
    python -m bench race --peer ngram --eval-every 1       counting, no network (ngrams.py)

The text is split 90/10 by position and the loss is that of the whole held-out tenth, in windows of
the model's context side by side. The clock starts before the interpreter does and stands still
while the loss is evaluated, which nobody needs in order to train. The rows of LEADERBOARD.md come
from here.

Read next: racer.py (the program that is raced), LEADERBOARD.md.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

from kernels import ISAS

ROOT = Path(__file__).resolve().parent.parent


def shakespeare() -> Path:
    """The text: in $TINYGPT_DATA, or in ../shared/data beside the repository."""
    folders = [os.environ.get("TINYGPT_DATA"), ROOT.parent / "shared/data"]
    folders.append(ROOT.parent.parent / "shared/data")  # from a worktree one floor deeper
    for folder in filter(None, folders):
        path = Path(folder) / "tinyshakespeare.txt"
        if path.is_file():
            return path
    raise click.ClickException(
        "no tinyshakespeare.txt. Set TINYGPT_DATA to the folder that holds it, or give --data."
    )


def run_race(spec: dict[str, Any], isa: str | None, clock: str) -> list[dict[str, Any]]:
    """Start a racer and print its evaluations as they come; all of them are returned."""
    from bench.timing import thread_environment

    environment = thread_environment(spec["threads"], isa, clock)
    spec = spec | {"started": time.time()}
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.racer", json.dumps(spec)],
        cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE,
    )
    found = []
    for line in process.stdout:
        found.append(json.loads(line))
        show = "step {step:5}  {seconds:7.1f} s  validation loss {loss:.4f}"
        click.echo(show.format(**found[-1]), err=True)
    if process.wait():
        raise click.ClickException(f"the racer ended with exit code {process.returncode}")
    return found


@click.command()
@click.option("--peer", type=click.Choice(["torch", "ngram"]), help="Race PyTorch, or counts.")
@click.option(
    "--config",
    default=str(ROOT / "bench/nanogpt.toml"),
    show_default="nanoGPT's recipe",
    help="A shipped recipe (S, M, ...) or a TOML file.",
)
@click.option("--set", "overrides", multiple=True, help="section.key=value, as in tinygpt train.")
@click.option("--target", type=float, default=1.88, show_default=True, help="Nats per character.")
@click.option("--eval-every", type=int, default=100, show_default=True, help="Steps.")
@click.option("--eval-from", type=int, default=0, help="First step to evaluate at.")
@click.option("--data", type=click.Path(path_type=Path), help="Another text.")
@click.option("--threads", type=int, default=2, show_default=True)
@click.option("--isa", type=click.Choice(ISAS))
@click.option("--clock", type=click.Choice(["wall", "cpu"]), default="wall", help="As in train.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON at the end.")
def command(
    peer, config, overrides, target, eval_every, eval_from, data, threads, isa, clock, as_json
):
    """Wall time to a validation loss, from a cold start."""
    spec = {
        "peer": peer or "ours", "config": config, "overrides": list(overrides), "target": target,
        "eval_every": eval_every, "eval_from": eval_from, "threads": threads,
        "data": str((data or shakespeare()).resolve()),
    }
    found = run_race(spec, isa, clock)
    last = found[-1]
    reached = last["loss"] <= target
    result = {**last, "reached": reached, "target": target, "peer": spec["peer"]}
    if as_json:
        click.echo(json.dumps(result))
    elif reached:
        click.echo(f"{spec['peer']}: {target} after {last['seconds']:.1f} s, step {last['step']}")
    else:
        best = min(entry["loss"] for entry in found)
        click.echo(f"{spec['peer']}: {target} not reached; best {best:.4f}")
