"""Layer norm over rows: mean and variance, then scale, without ever reading a row twice.

43690 rows of 384 numbers, 64 MiB in and as much out: more than a laptop's caches hold, so a copy of
the same bytes is the roofline.
"""

from __future__ import annotations

import numpy as np

from bench.ladder.runner import Ladder, Rung, c_rungs

ROWS, COLUMNS = 43690, 384
EPS = 1e-5


def naive_python(x, weight):
    """The formula, a number at a time."""
    scale = weight.tolist()
    y = []
    for row in x.tolist():
        mean = sum(row) / len(row)
        variance = sum((value - mean) ** 2 for value in row) / len(row)
        rstd = (variance + EPS) ** -0.5
        y.append([(value - mean) * rstd * w for value, w in zip(row, scale, strict=True)])
    return y


def numpy_whole(x, weight):
    # A handful of calls for all rows; each walks through memory from end to end.
    mean = x.mean(-1, keepdims=True)
    centered = x - mean
    rstd = 1 / np.sqrt((centered * centered).mean(-1, keepdims=True) + x.dtype.type(EPS))
    return centered * rstd * weight


def numpy_blocked(x, weight, rows=64):
    # 64 rows (96 KB) at a time: all calls but the first find them in the cache. The sum of squares
    # is an inner product of each row with itself, which needs no array for the squares.
    y = np.empty_like(x)
    for start in range(0, len(x), rows):
        block = y[start : start + rows]
        np.subtract(x[start : start + rows], x[start : start + rows].mean(-1, keepdims=True), block)
        variance = np.einsum("rc,rc->r", block, block)[:, None] / np.float32(x.shape[1])
        block *= 1 / np.sqrt(variance + np.float32(EPS))
        block *= weight
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
            lambda x, weight: numba_jit.layernorm_forward(x, weight)[0], ROWS,
        ),
        *c_rungs(
            "layernorm_forward", ROWS,
            {
                "generic": "for any x86-64: four numbers at a time",
                "avx2": "eight numbers at a time, several sums side by side",
                "avx512": "sixteen numbers at a time",
            },
            first=lambda results: results[0],
        ),
    ]


def inputs(rows: int, rng: np.random.Generator) -> tuple:
    x = rng.standard_normal((rows, COLUMNS), dtype=np.float32) * 2 + 1
    return x, rng.standard_normal(COLUMNS, dtype=np.float32)


LADDER = Ladder(
    op="layernorm",
    unit="GB/s",
    what=f"rows of {COLUMNS} float32, each read once and written once",
    inputs=inputs,
    work=lambda rows: 2 * 4 * rows * COLUMNS,
    reference=numpy_whole,
    rungs=rungs,
)
