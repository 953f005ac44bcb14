"""How we measure on a machine that is shared and noisy.

The same product runs at 60 and at 250 GFLOP/s within an hour, so an absolute time means little. Two
things survive: a ratio of two measurements taken right after one another (interleave A B A B, take
the median of the ratios), and a share of what the machine gave in the same minute (sgemm for
compute, a copy for memory).

Read next: train.py.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinygpt.machine.cpu import cpu_name

MKL_AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}
OPENBLAS_AVX2 = {"OPENBLAS_CORETYPE": "Haswell"}
RESTRICT_PEERS = {  # what keeps other libraries to a set that a CPU has more than
    "avx2": {**MKL_AVX2, **OPENBLAS_AVX2},
    "avxvnni": {**MKL_AVX2, **OPENBLAS_AVX2, "ONEDNN_MAX_CPU_ISA": "AVX2_VNNI"},
}


# Where others keep the machine busy, a program of one thread can be timed by its own CPU time:
# BENCH_CLOCK=cpu. With more threads that would add up what they spend waiting for each other.
clock = time.process_time if os.environ.get("BENCH_CLOCK") == "cpu" else time.perf_counter


# Seconds before a turn, where programs with several threads share a process: idle threads spin on
# the cores that the next turn needs, PyTorch's for 5 to 15 ms, OpenBLAS's for 100. And as many of
# unmeasured calls: threads that have slept may wake on one core, where two are no faster than one
# until the system has moved one away, in tens of milliseconds (LOG.md).
REST = 0.15


class Spread(NamedTuple):
    """A median with the quartiles around it and the number of measurements behind it."""

    median: float
    low: float
    high: float
    count: int

    def __format__(self, spec: str) -> str:
        spec = spec or ".2f"
        return f"{self.median:{spec}} [{self.low:{spec}} .. {self.high:{spec}}]"


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0], 1)
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high, len(values))


def seconds_of(function: Callable[[], object], repeats: int = 1) -> float:
    """Seconds of one call by `clock`, the mean of `repeats` calls in a row."""
    start = clock()
    for _ in range(repeats):
        function()
    return (clock() - start) / repeats


def repeats_for(function: Callable[[], object], seconds: float = 0.01) -> int:
    """How many calls take about `seconds`, after a warm-up call."""
    function()
    once = max(seconds_of(function), 1e-9)
    return max(1, min(10_000, round(seconds / once)))


def best_seconds(function: Callable[[], object], rounds: int = 20, seconds: float = 0.01) -> float:
    """The least time of a call over `rounds` short runs: what the machine can do undisturbed."""
    repeats = repeats_for(function, seconds)
    return min(seconds_of(function, repeats) for _ in range(rounds))


def interleave(
    functions: dict[str, Callable[[], object]],
    rounds: int = 20,
    seconds: float = 0.01,
    threads: int = 1,
) -> dict[str, list[float]]:
    """Seconds per call of each function, `rounds` times, in turn: A B C A B C ...

    Each turn calls a function as often as fits in about `seconds`, after one warm-up each. With
    several threads, REST seconds pass before a turn and as many of unmeasured calls.
    """
    repeats = {name: repeats_for(function, seconds) for name, function in functions.items()}
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            if threads > 1:
                time.sleep(REST)
                awake = time.perf_counter() + REST
                while time.perf_counter() < awake:
                    function()
            times[name].append(seconds_of(function, repeats[name]))
    return times


def ratio(times: dict[str, list[float]], ours: str, peer: str) -> Spread:
    """How many times faster `ours` is than `peer`: the spread of round-by-round ratios."""
    return spread([b / a for a, b in zip(times[ours], times[peer], strict=True)])


def sgemm_gflops(
    multiply: Callable[[np.ndarray, np.ndarray], object] = np.matmul,
    n: int = 1024,
    seconds: float = 0.3,
) -> float:
    """GFLOP/s of an (n, n) float32 product, the best call within about `seconds`."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((n, n), dtype=np.float32) for _ in range(2))
    multiply(a, b)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        best = min(best, seconds_of(lambda: multiply(a, b)))
    return 2 * n**3 / best / 1e9


def copy_gbps(threads: int = 1, megabytes: int = 128, rounds: int = 8) -> float:
    """GB/s of a copy far larger than the caches, counting each byte read and each written once."""
    source = np.ones(megabytes << 20, np.uint8)
    target = np.empty_like(source)
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    with ThreadPoolExecutor(threads) as pool:  # NumPy copies without the interpreter's lock

        def copy() -> None:
            list(pool.map(lambda pair: np.copyto(*pair), parts))

        copy()
        best = min(seconds_of(copy) for _ in range(rounds))
    return 2 * source.nbytes / best / 1e9


def thread_environment(threads: int, isa: str | None = None, clock: str = "wall") -> dict[str, str]:
    """Variables for a child process: the same threads and instruction set for everybody in it."""
    count = str(threads)
    names = ("TINYGPT_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, count), "BENCH_CLOCK": clock}
    if isa:
        environment |= {"KERNELS_ISA": isa, **RESTRICT_PEERS.get(isa, {})}
    return environment


def python_of(tree: str | None) -> str:
    """The Python that runs a checkout of ours: this one, or the one in the other tree's .venv."""
    return sys.executable if tree is None else str(Path(tree).absolute() / ".venv/bin/python")


def commit() -> str:
    """Short hash of the checked-out commit, with "+" when files differ from it; "" outside git."""
    try:
        run = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=7", "--exclude=*"],
            capture_output=True, text=True, timeout=10, cwd=os.path.dirname(__file__),
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return run.stdout.strip()


def headline() -> str:
    """One line for the log: machine, cores, commit."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cpu_name()}, {cores} cores, commit {commit()}, {time.strftime('%Y-%m-%d %H:%M')}"
