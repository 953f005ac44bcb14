"""The dense layer on int4 weights in Numba: integers within a group, floats between groups.

What it means: numpy_ref/matmul_int4.py.  Also written in: c/matmul_int4.c.
"""

import numpy as np

from kernels import checks
from kernels.numba_jit.jit import parallel, prange
from kernels.numba_jit.matmul_int8 import quantize_rows
from kernels.numpy_ref.matmul_int8 import finish
from kernels.packing import GROUP, PANEL, Packed

WORDS = GROUP["int4"] // 8  # 32-bit words of eight codes to a group


def linear_int4_forward(x, weight: Packed, bias=None, activation=None, residual=None):
    """As numpy_ref.linear_int4_forward, float32."""
    checks.packed("linear_int4", x, weight, "int4")
    N, K = weight.shape
    q, x_scale = quantize_rows(x)
    padded = np.zeros((q.size // K, weight.codes.shape[1] * 8), np.int8)
    padded[:, :K] = q.reshape(-1, K)
    y = np.empty((len(padded), N), np.float32)
    _linear(padded, x_scale.reshape(-1), weight.codes, weight.scale, y)
    return finish(y.reshape(*x.shape[:-1], N), bias, activation, residual)


@parallel
def _linear(x, x_scale, codes, scale, y):
    n = y.shape[1]
    for panel in prange(len(codes)):
        for row in range(len(x)):
            total = np.zeros(PANEL, np.float32)
            for group in range(scale.shape[1]):
                for i in range(PANEL):
                    inner = np.int32(0)
                    for word in range(group * WORDS, group * WORDS + WORDS):
                        for j in range(4):
                            pair = codes[panel, word, i, j]
                            inner += (np.int32(pair & 15) - 8) * np.int32(x[row, 8 * word + j])
                            inner += (np.int32(pair >> 4) - 8) * np.int32(x[row, 8 * word + 4 + j])
                    total[i] += scale[panel, group, i] * np.float32(inner)
            for i in range(min(PANEL, n - panel * PANEL)):
                y[row, panel * PANEL + i] = total[i] * x_scale[row]
