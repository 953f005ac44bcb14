"""The dense layer on NF4 weights in Numba: codes looked up, sums in float.

What it means: numpy_ref/matmul_nf4.py.  Also written in: c/matmul_nf4.c.
"""

import numpy as np

from kernels import checks
from kernels.numba_jit.jit import parallel, prange
from kernels.numpy_ref.matmul_int8 import finish
from kernels.packing import GROUP, NF4_LEVELS, PANEL, Packed

WORDS = GROUP["nf4"] // 8  # 32-bit words of eight codes to a group


def linear_nf4_forward(x, weight: Packed, bias=None, activation=None, residual=None):
    """As numpy_ref.linear_nf4_forward, float32."""
    checks.packed("linear_nf4", x, weight, "nf4")
    N, K = weight.shape
    padded = np.zeros((x.size // K, weight.codes.shape[1] * 8), np.float32)
    padded[:, :K] = x.reshape(-1, K)
    y = np.empty((len(padded), N), np.float32)
    _linear(padded, weight.codes, weight.scale, NF4_LEVELS, y)
    return finish(y.reshape(*x.shape[:-1], N), bias, activation, residual)


@parallel
def _linear(x, codes, scale, levels, y):
    n = y.shape[1]
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
                    total[i] += scale[panel, word // WORDS, i] * inner
            for i in range(min(PANEL, n - panel * PANEL)):
                y[row, panel * PANEL + i] = total[i]
