"""`python -m bench foreign --at DIR`: the test suites of other libraries, run against minigrad.

Their code is not ours and is not here. Fetch it first, each into a folder below DIR:

    git clone https://github.com/karpathy/micrograd   DIR/micrograd
    git clone https://github.com/minitorch/minitorch  DIR/minitorch
    git clone https://github.com/HIPS/autograd        DIR/autograd
    git clone https://github.com/tinygrad/tinygrad    DIR/tinygrad

An adapter (bench/peers/as_*.py) puts minigrad in the place of the library, and pytest runs the
tests as they are. The table counts comparisons where a suite holds many in a test, else tests:
right, unsupported (an operation or an argument that we have not), wrong (another value or gradient:
listed, and exit 1).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Suite:
    """adapter: of bench.peers.  root: folder to run in, below the library's.  tests: in it."""

    adapter: str
    root: str
    tests: tuple[str, ...]

    def files(self) -> list[str]:
        """Folders as they are, modules with their suffix."""
        return [f"{t}.py" if t.startswith("test_") else t for t in self.tests]


SUITES = {
    "micrograd": Suite("as_micrograd", ".", ("test",)),
    "minitorch": Suite("as_minitorch", ".", ("tests",)),
    "autograd": Suite("as_autograd", "tests", (
        "test_numpy", "test_systematic", "test_scalar_ops", "test_binary_ops", "test_truediv")),
    "tinygrad": Suite("as_tinygrad", "test/backend", ("test_ops",)),
}

# Ours by choice, where PyTorch's or the suite's own answer is another one.
CHOSEN = {
    "test_slice_fancy_indexing_dim_collapse_int": "NumPy's rule for integers beside index arrays",
    "test_slice_errors": "indices that NumPy takes",
    "test_split": "x.split(n) is n parts, as in NumPy",
    "test_arange": "memory, for a range of 2**33",
    "test_drop": "dropout at p = 1 is refused",
}


def play(name: str, folder: Path) -> dict[str, dict]:
    """What the adapter counted: {"counts": ..., "unsupported": ..., "wrong": ...}."""
    suite = SUITES[name]
    with tempfile.TemporaryDirectory() as made:
        tally = Path(made) / "tally.json"
        environment = {**os.environ, "FOREIGN_TALLY": str(tally), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", ".",
             "-W", "ignore", "-p", f"bench.peers.{suite.adapter}", "-p", "no:cacheprovider",
             *suite.files()],
            cwd=folder / suite.root, env=environment, capture_output=True, text=True, check=False,
        )
        if not tally.exists() or done.returncode not in (0, 1):
            raise RuntimeError(f"{name}: pytest ended with {done.returncode}\n{done.stdout[-3000:]}"
                               f"{done.stderr[-3000:]}")
        return json.loads(tally.read_text(encoding="utf-8"))


def not_chosen(wrong: list[str]) -> list[str]:
    """Those without the differences that are ours by choice."""
    return [w for w in wrong if not any(f"::{test}:" in w for test in CHOSEN)]


@click.command()
@click.option("--at", "folder", type=click.Path(exists=True, path_type=Path), required=True,
              help="The folder that holds the libraries' repositories.")
@click.option("--only", type=click.Choice(list(SUITES)), multiple=True)
@click.option("--list", "listed", is_flag=True, help="What is unsupported, and how often.")
def command(folder: Path, only: tuple[str, ...], listed: bool) -> None:
    """The test suites of micrograd, MiniTorch, autograd and tinygrad, run against minigrad."""
    console = Console(width=None if Console().is_terminal else 140)
    table = Table("suite", "right", "unsupported", "by choice", "wrong", "stubs")
    bad = []
    for name in only or SUITES:
        if not (folder / name).exists():
            table.add_row(name, f"[dim]not at {folder / name}[/]")
            continue
        found = play(name, folder / name)
        counts = found["counts"]
        fine = "" if "right" in counts else "tests "
        wrong = not_chosen(found["wrong"])
        bad += wrong
        table.add_row(
            name, str(counts.get("right", counts.get("tests passed", 0))),
            str(counts.get(f"{fine}unsupported", 0)), str(len(found["wrong"]) - len(wrong)),
            str(len(wrong)), str(counts.get("tests that are stubs", 0)),
        )
        if listed:
            for what, times in sorted(found["unsupported"].items(), key=lambda pair: -pair[1]):
                console.print(f"{name}: {times:4} {what}", markup=False)
    console.print(table)
    for w in bad:
        console.print(w, markup=False)
    raise SystemExit(bool(bad))
