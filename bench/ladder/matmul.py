"""The matrix product: the same 2 n^3 operations, done ten thousand times faster.

An arithmetic unit can multiply and add 32 numbers in a cycle; memory delivers one or two. So the
story of this ladder is reuse: how often a number is used for each time that it is fetched.
"""

from __future__ import annotations

import numpy as np

from bench.ladder.runner import Ladder, Rung, c_rungs

SIZE = 768


def naive_python(a, b):
    """c[i, j] is the sum over k of a[i, k] b[k, j]: three loops, one number at a time."""
    a, b = a.tolist(), b.tolist()
    n = len(b)
    return [
        [sum(row[k] * b[k][j] for k in range(n)) for j in range(len(b[0]))] for row in a
    ]


def numpy_rows(a, b):
    # A whole row of b at a time: c[i] += a[i, k] b[k]. No interpreter between two numbers, but for
    # every multiplication a number of b and one of c are fetched and one is stored.
    c = np.zeros((len(a), b.shape[1]), a.dtype)
    for i in range(len(a)):
        for k in range(len(b)):
            c[i] += a[i, k] * b[k]
    return c


def numpy_blocked(a, b, size=96):
    # Tiles of 96 x 96 fit the first cache (36 KB each), so each number fetched from memory is used
    # 96 times. The products of two tiles are still sums of outer products, row by row.
    c = np.zeros((len(a), b.shape[1]), a.dtype)
    for i in range(0, len(a), size):
        for k in range(0, len(b), size):
            for j in range(0, b.shape[1], size):
                tile = c[i : i + size, j : j + size]
                left, right = a[i : i + size, k : k + size], b[k : k + size, j : j + size]
                for p in range(right.shape[0]):
                    tile += left[:, p, None] * right[p]
    return c


def numba_loops():
    """Numba's rung is compiled when it is asked for: importing numba costs most of a second."""
    import numba

    @numba.njit(parallel=True, cache=False)
    def multiply(a, b, c):
        # The same tiles, compiled: the innermost loop over j runs eight or sixteen numbers at a
        # time, and the cores share the rows. But the tile of c goes back to the cache at every k.
        rows, inner, columns = a.shape[0], a.shape[1], b.shape[1]
        for block in numba.prange((rows + 63) // 64):
            for k0 in range(0, inner, 64):
                for i in range(block * 64, min(rows, block * 64 + 64)):
                    for k in range(k0, min(inner, k0 + 64)):
                        factor = a[i, k]
                        for j in range(columns):
                            c[i, j] += factor * b[k, j]

    def run(a, b):
        c = np.zeros((a.shape[0], b.shape[1]), a.dtype)
        multiply(a, b, c)
        return c

    return run


def rungs() -> list[Rung]:
    """From the ground up."""
    return [
        Rung("naive Python", "the definition", naive_python, 64),
        Rung("NumPy rows", "a call for a row, not a step for each number", numpy_rows, 256),
        Rung("NumPy blocked", "tiles that stay in the cache", numpy_blocked, 384),
        Rung("Numba", "compiled: vectors, no temporaries, all cores", numba_loops(), SIZE),
        *c_rungs(
            "matmul_forward", SIZE,
            {
                "generic": "a tile of c kept in registers, panels packed in reading order",
                "avx2": "eight numbers at a time, multiply and add in one instruction",
                "avx512": "sixteen at a time, and twice the registers: a larger tile",
            },
        ),
        Rung("NumPy's BLAS", "thirty years of the same, in assembly", np.matmul, SIZE),
    ]


def inputs(n: int, rng: np.random.Generator) -> tuple:
    return tuple(rng.standard_normal((n, n), dtype=np.float32) for _ in range(2))


LADDER = Ladder(
    op="matmul",
    unit="GFLOP/s",
    what=f"square float32 matrices, up to {SIZE}",
    inputs=inputs,
    work=lambda n: 2.0 * n**3,
    reference=np.matmul,
    rungs=rungs,
)
