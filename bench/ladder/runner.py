"""Climbs a ladder: measures each rung, in turn with the roofline, and checks its result."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from bench import timing

NAMES = ("matmul", "attention", "softmax", "layernorm")


@dataclass(frozen=True)
class Rung:
    """A way to compute the op.

    idea: what makes it faster than the rung below, in a few words.
    size: the problem it is timed at; slow rungs get a small one, rates can still be compared.
    isa: of the C kernels, None for the other rungs.
    """

    name: str
    idea: str
    compute: Callable[..., Any]
    size: int
    isa: str | None = None


@dataclass(frozen=True)
class Ladder:
    """An op's rungs and how to judge them.

    unit: "GFLOP/s" (roofline: a matrix product) or "GB/s" (roofline: a copy).
    inputs: (size, rng) -> arrays.  work: size -> floating-point operations, or bytes moved.
    reference: the op on float64 arrays.
    """

    op: str
    unit: str
    what: str
    inputs: Callable[[int, np.random.Generator], tuple]
    work: Callable[[int], float]
    reference: Callable[..., np.ndarray]
    rungs: Callable[[], list[Rung]]


@dataclass(frozen=True)
class Result:
    """A rung's measurement: rate and roofline in the ladder's unit."""

    rung: Rung
    rate: float
    roofline: float
    error: float

    @property
    def share(self) -> float:
        return self.rate / self.roofline


def c_rungs(op: str, size: int, idea: dict[str, str], first: Any = None) -> list[Rung]:
    """One rung for each instruction set that runs here; `first` picks from a tuple of results."""
    import kernels

    try:
        c = kernels.load("c")
    except RuntimeError:
        return []  # `python -m bench` has said that the extension is missing
    function, take = getattr(c, op), first or (lambda result: result)
    return [
        Rung(f"C, {isa}", idea[isa], lambda *a: take(function(*a)), size, isa)
        for isa in ("generic", "avx2", "avx512")
        if c.available_isas()[isa] == "ready"
    ]


def climb(ladder: Ladder, threads: int, rounds: int) -> list[Result]:
    """Measure every rung at its best of `rounds`, and the roofline between the rungs."""
    import kernels

    kernels.set_num_threads(threads)
    rungs = ladder.rungs()
    roof = roofline(ladder, max(rung.size for rung in rungs), threads)
    measured = []
    for rung in rungs:
        if rung.isa:
            kernels.load("c").use_isa(rung.isa)
        arrays = ladder.inputs(rung.size, np.random.default_rng(0))
        found = np.asarray(rung.compute(*arrays))
        exact = ladder.reference(*(array.astype(np.float64) for array in arrays))
        error = float(np.abs(found - exact).max() / np.abs(exact).max())
        seconds = timing.best_seconds(partial(rung.compute, *arrays), rounds, seconds=0.02)
        measured.append((rung, ladder.work(rung.size) / seconds / 1e9, error))
        kernels.use()  # back to the best instruction set, for the roofline
        roof = max(roof, roofline(ladder, max(rung.size for rung in rungs), threads))
    return [Result(rung, rate, roof, error) for rung, rate, error in measured]


def roofline(ladder: Ladder, size: int, threads: int) -> float:
    """GFLOP/s of the faster of NumPy's product and ours, or GB/s of a copy of the same bytes."""
    if ladder.unit == "GB/s":
        megabytes = max(1, int(ladder.work(size) / 2) >> 20)
        return timing.copy_gbps(threads, megabytes)
    import kernels

    return max(timing.sgemm_gflops(f) for f in (np.matmul, kernels.active.matmul_forward))


def table(ladder: Ladder, results: list[Result]) -> str:
    """One line a rung."""
    lines = [f"{ladder.op}: {ladder.what}; roofline {results[0].roofline:.1f} {ladder.unit}"]
    for result in results:
        before = lines and len(lines) > 1
        times = f"{result.rate / results[len(lines) - 2].rate:6.1f}x" if before else " " * 7
        lines.append(
            f"{result.rung.name:>16} {result.rate:11.4f} {ladder.unit}  {result.share:7.2%} of "
            f"roofline {times}  error {result.error:.1e}  {result.rung.idea}"
        )
    return "\n".join(lines)


@click.command()
@click.argument("op", type=click.Choice(NAMES))
@click.option("--threads", type=int, default=2, show_default=True)
@click.option("--rounds", type=int, default=20, show_default=True, help="Runs of each rung.")
@click.option("--svg", type=click.Path(path_type=Path), help="Also draw the ladder to this file.")
def command(op, threads, rounds, svg):
    """One op from naive Python to C, rung by rung."""
    ladder = importlib.import_module(f"bench.ladder.{op}").LADDER
    results = climb(ladder, threads, rounds)
    click.echo(f"{timing.headline()}, {threads} thread(s)")
    click.echo(table(ladder, results))
    if svg:
        from bench.ladder.chart import draw

        svg.write_text(draw(ladder, results), encoding="utf-8")
        click.echo(f"wrote {svg}")
