"""Kill ranks at random, and see whether training ends with the right bytes.

    python -m bench ranks-kill --kills 20

A small training by --ranks is run whole, then again and again with one of its processes killed at a
random moment (SIGKILL; every fourth is stopped instead, which looks like a machine that hangs).
Each must go on by itself, end with exit code 0 and the same bytes as the whole one. Printed for
each: what was killed when, and how long the others took to end.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

SETTINGS = (
    "model.context=16", "model.d_model=32", "model.n_layers=2", "model.n_heads=2",
    "training.batch_size=2", "training.accumulation=4", "training.eval_every=none",
    "training.sample_every=none", "training.checkpoint_every=50", "data.stories_mb=0.2",
)
TIMEOUT = 5  # seconds of silence, for these ranks


def start(out: Path, ranks: int, steps: int, zero: bool) -> subprocess.Popen:
    words = [w for one in (*SETTINGS, f"training.steps={steps}", f"training.zero={zero}")
             for w in ("--set", one)]
    return subprocess.Popen(
        [sys.executable, "-m", "tinygpt", "train", "S", "--out", str(out), "--ranks", str(ranks),
         *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "TINYGPT_THREADS": "1", "TINYGPT_RANK_TIMEOUT": str(TIMEOUT)},
    )


def ranks_of(out: Path) -> dict[int, int]:
    """Rank -> process id of those that train a run now."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode().split("\0")
            values = (folder / "environ").read_bytes().decode().split("\0")
        except OSError:  # it has ended meanwhile
            continue
        rank = [v for v in values if v.startswith("OMPI_COMM_WORLD_RANK=")]
        if str(out) in words and rank:
            found[int(rank[0].partition("=")[2])] = int(folder.name)
    return found


def last_bytes(out: Path) -> list[bytes]:
    newest = max((out / "checkpoints").glob("step-*"))
    return [(newest / f"{name}.safetensors").read_bytes() for name in ("model", "optimizer")]


def kill_one(out: Path, process: subprocess.Popen, rng: random.Random, stop: bool) -> str:
    """Wait for a random moment of a training, end one of its ranks.  Returns what happened."""
    while not list((out / "checkpoints").glob("step-*")):  # it trains
        if process.poll() is not None:
            raise click.ClickException(process.communicate()[0])
        time.sleep(0.05)
    time.sleep(rng.uniform(0, 4))
    before = ranks_of(out)
    if not before:
        return "ended before it was killed"
    rank = rng.choice(sorted(before))
    os.kill(before[rank], signal.SIGSTOP if stop else signal.SIGKILL)
    began = time.monotonic()
    others = [pid for k, pid in before.items() if k != rank]
    while any(Path(f"/proc/{pid}").exists() for pid in others):
        if time.monotonic() - began > 60:
            raise click.ClickException(f"ranks {sorted(before)} still there a minute after {rank}")
        time.sleep(0.02)
    seconds = time.monotonic() - began
    if stop and Path(f"/proc/{before[rank]}").exists():
        os.kill(before[rank], signal.SIGKILL)
    return f"rank {rank} {'stopped' if stop else 'killed'}, the others ended in {seconds:.1f} s"


@click.command()
@click.option("--kills", default=20, show_default=True)
@click.option("--ranks", default=3, show_default=True)
@click.option("--steps", default=400, show_default=True)
@click.option("--zero/--no-zero", default=True, help="With the moments divided.")
@click.option("--seed", default=0, show_default=True)
def command(kills, ranks, steps, zero, seed):
    """Kill ranks at random moments; every training must end with the right bytes."""
    rng, wrong = random.Random(seed), 0
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        process = start(whole, ranks, steps, zero)
        said = process.communicate()[0]
        if process.returncode:
            raise click.ClickException(said)
        right = last_bytes(whole)
        for number in range(kills):
            out = Path(folder) / f"run{number}"
            process = start(out, ranks, steps, zero)
            what = kill_one(out, process, rng, stop=number % 4 == 3)
            said = process.communicate(timeout=300)[0]
            same = process.returncode == 0 and last_bytes(out) == right
            wrong += not same
            went_on = [line for line in said.splitlines() if "going on from step" in line]
            print(
                f"{number + 1}: {what}; {'; '.join(went_on[:1]) or 'it was not needed'}; "
                f"{'the right bytes' if same else f'WRONG (exit {process.returncode})'}",
                flush=True,
            )
    if wrong:
        raise click.ClickException(f"{wrong} of {kills} trainings ended wrong")


if __name__ == "__main__":
    command()
