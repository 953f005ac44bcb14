"""The dense layers on 4-bit weights in Numba: int4 here, and the loop that NF4 shares.

What it means: numpy_ref/matmul_int4.py.  Also written in: c/matmul_int4.c.
Read next: matmul_nf4.py.
"""

import numpy as np

from kernels.numba_jit.jit import parallel, prange
from kernels.numba_jit.matmul_int8 import quantize_rows, ready
from kernels.numpy_ref.matmul_int8 import finish
from kernels.packing import PANEL, Packed

INT4_LEVELS = np.arange(-8, 8, dtype=np.float32)


def linear_int4_forward(x, weight: Packed, bias=None, residual=None):
    """As numpy_ref.linear_int4_forward, float32."""
    (x, bias, residual), (rows, K, N) = ready("int4", x, weight, bias, residual)
    q, x_scale = quantize_rows(x)
    # Integers as floats: exact below 2^24, and LLVM multiplies floats faster than widened bytes.
    codes = q.reshape(rows, K).astype(np.float32)
    y = linear_4bit(codes, weight, INT4_LEVELS) * x_scale.reshape(rows, 1)
    return finish(y.reshape(*x.shape[:-1], N), bias, residual)


def linear_4bit(x, weight: Packed, levels):
    """x W^T with w = scale levels[code].  x: (R, K) float32; levels: (16,).  Returns (R, N)."""
    padded = np.zeros((len(x), weight.codes.shape[1] * 8), np.float32)
    padded[:, : x.shape[1]] = x
    y = np.empty((len(x), weight.shape[0]), np.float32)
    _linear(padded, weight.codes, weight.scale, levels, y)
    return y


@parallel
def _linear(x, codes, scale, levels, y):
    n = y.shape[1]
    words = codes.shape[1] // max(scale.shape[1], 1)  # of eight codes, to a group with its scale
    for panel in prange(len(codes)):
        for row in range(len(x)):
            total = np.zeros(PANEL, np.float32)
            for word in range(codes.shape[1]):
                for i in range(PANEL):
                    inner = np.float32(0)
                    for j in range(4):
                        pair = codes[panel, word, i, j]
                        inner += levels[pair & 15] * x[row, 8 * word + j]
                        inner += levels[pair >> 4] * x[row, 8 * word + 4 + j]
                    total[i] += scale[panel, word // words, i] * inner
            for i in range(min(PANEL, n - panel * PANEL)):
                y[row, panel * PANEL + i] = total[i]
