"""Softmax over rows, from a loop over numbers to one pass in registers.

65536 rows of 256 numbers, 64 MiB in and as much out: more than a laptop's caches hold, so a copy of
the same bytes is the roofline, and every extra pass over memory shows.
"""

from __future__ import annotations

import math

import numpy as np

from bench.ladder.runner import Ladder, Rung, c_rungs

ROWS, COLUMNS = 65536, 256


def naive_python(x):
    """The formula, a number at a time. Each one costs the interpreter some fifty machine steps."""
    y = []
    for row in x.tolist():
        top = max(row)
        exps = [math.exp(value - top) for value in row]
        total = sum(exps)
        y.append([value / total for value in exps])
    return y


def numpy_whole(x):
    # A call works on the whole array: the interpreter is asked five times instead of for every
    # number. But each call also reads and writes the whole array, from memory and back.
    exps = np.exp(x - x.max(-1, keepdims=True))
    return exps / exps.sum(-1, keepdims=True)


def numpy_blocked(x, rows=64):
    # The same calls on 64 rows at a time, in place: 64 KB stay in the cache from call to call, so
    # memory is read once and written once.
    y = np.empty_like(x)
    for start in range(0, len(x), rows):
        block = y[start : start + rows]
        np.subtract(x[start : start + rows], x[start : start + rows].max(-1, keepdims=True), block)
        np.exp(block, block)
        block /= block.sum(-1, keepdims=True)
    return y


def rungs() -> list[Rung]:
    """From the ground up."""
    from kernels import numba_jit

    return [
        Rung("naive Python", "the definition", naive_python, 64),
        Rung("NumPy", "a call for the whole array, not a step for each number", numpy_whole, ROWS),
        Rung("NumPy, blocked", "64 rows at a time stay in the cache", numpy_blocked, ROWS),
        Rung(
            "Numba", "compiled: a row in one go, rows shared by the cores",
            numba_jit.softmax_forward, ROWS,
        ),
        *c_rungs(
            "softmax_forward", ROWS,
            {
                "generic": "for any x86-64: four numbers at a time",
                "avx2": "eight numbers at a time, exp in registers",
                "avx512": "sixteen numbers at a time",
            },
        ),
    ]


def inputs(rows: int, rng: np.random.Generator) -> tuple:
    return (rng.standard_normal((rows, COLUMNS), dtype=np.float32) * 3,)


LADDER = Ladder(
    op="softmax",
    unit="GB/s",
    what=f"rows of {COLUMNS} float32, each read once and written once",
    inputs=inputs,
    work=lambda rows: 2 * 4 * rows * COLUMNS,
    reference=numpy_whole,
    rungs=rungs,
)
