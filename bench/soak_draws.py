"""Draw other examples: every test of minigrad that draws, with one seed after another.

Run through `python -m bench.soak draws`. The suite itself draws the same each time (conftest.py);
here every run is another one. A seed that fails is printed with what failed: repeat it with the
command shown, and make its smallest example a test.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time

PLACES = ("tests/ops", "tests/minigrad")


def command(seed: int) -> list[str]:
    """pytest over every test that draws, with this seed."""
    return [
        sys.executable, "-m", "pytest", "-q", "-m", "hypothesis and not slow",
        "--hypothesis-profile=soak", f"--hypothesis-seed={seed}", *PLACES,
    ]


def run_all(runs: int, first_seed: int) -> bool:
    """One run for each seed from `first_seed` on; whether all passed."""
    failing = []
    for seed in range(first_seed, first_seed + runs):
        started = time.monotonic()
        done = subprocess.run(command(seed), capture_output=True, text=True, check=False)
        lines = done.stdout.splitlines()
        minutes = (time.monotonic() - started) / 60
        said = lines[-1] if lines else done.stderr
        print(f"seed {seed}, {minutes:.0f} minutes: {said}", flush=True)
        if done.returncode != 0:
            failing.append(seed)
            told = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
            print("\n".join(f"  {line}" for line in told))
            print(f"  {shlex.join(command(seed))}")
    print(f"{runs} runs, failing seeds: {failing or 'none'}")
    return not failing
