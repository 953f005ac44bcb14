"""dx of a dense layer on packed weights: some rows of W at a time, made floats, then BLAS.

What it means: numpy_ref/linear_packed.py.  Also written in: c/linear_packed.c.
"""

import numpy as np

from kernels import checks, contracts, memory
from kernels.numba_jit.jit import parallel, prange
from kernels.numba_jit.matmul_int4 import INT4_LEVELS
from kernels.packing import GROUP, NF4_LEVELS, PANEL, Packed, dequantize

CHUNK = 1 << 20  # weights that are floats at a time, 4 MB
LEVELS = {"int4": INT4_LEVELS, "nf4": NF4_LEVELS}


def linear_packed_backward(dy, weight: Packed):
    """As numpy_ref.linear_packed_backward, float32."""
    checks.packed("linear_packed", weight)
    N, K = weight.shape
    (dy,), _ = contracts.linear_packed_backward.ready(dy, N=N)
    dx = memory.empty((*dy.shape[:-1], K))
    dx[...] = 0
    rows = max(CHUNK // max(K, 1), PANEL)
    w = memory.empty((min(rows, N), K))
    for first in range(0, N, rows):
        some = w[: N - first]
        if weight.scheme == "int8":
            _rows_int8(weight.codes, weight.scale, first, some)
        elif weight.scheme in LEVELS:
            levels, group = LEVELS[weight.scheme], GROUP[weight.scheme]
            _rows_4bit(weight.codes, weight.scale, levels, group, first, some)
        else:
            some[...] = dequantize(weight, np.arange(first, first + len(some)))
        dx += dy[..., first : first + rows] @ some
    return dx


@parallel
def _rows_int8(codes, scale, first, w):
    """w = rows of W from `first` on."""
    for row in prange(len(w)):
        panel, lane = divmod(first + row, PANEL)
        for k in range(w.shape[1]):
            w[row, k] = scale[first + row] * codes[panel, k // 4, lane, k % 4]


@parallel
def _rows_4bit(codes, scale, levels, group, first, w):
    """Likewise; the low halves of four bytes hold k = 0 .. 3 of eight, the high halves the rest."""
    for row in prange(len(w)):
        panel, lane = divmod(first + row, PANEL)
        for k in range(w.shape[1]):
            pair = codes[panel, k // 8, lane, k % 4]
            level = levels[pair & 15] if k % 8 < 4 else levels[pair >> 4]
            w[row, k] = scale[panel, k // group, lane] * level
