"""The dense layers on GGUF's blocks in Numba: q4_1 here, and the rounding of x that q8_0 shares.

What it means: numpy_ref/matmul_q4_1.py.  Also written in: c/matmul_q4_1.c.
Read next: matmul_q8_0.py.
"""

import numpy as np

from kernels.numba_jit.jit import parallel, prange
from kernels.numba_jit.matmul_int8 import quantize_rows, ready
from kernels.numpy_ref.matmul_int8 import finish
from kernels.packing import GROUP, PANEL, Packed


def linear_q4_1_forward(x, weight: Packed, bias=None, residual=None):
    """As numpy_ref.linear_q4_1_forward, float32."""
    (x, bias, residual), (rows, K, N) = ready("q4_1", x, weight, bias, residual)
    y = np.empty((rows, N), np.float32)
    codes, scale = quantize_blocks(x.reshape(rows, K), GROUP["q4_1"])
    _linear(codes, scale, weight.codes, weight.scale.astype(np.float32), y)
    return finish(y.reshape(*x.shape[:-1], N), bias, residual)


def quantize_blocks(x, size: int):
    """x (R, K) as integers in float32, (R, G, size), and the scale of each block, (R, G)."""
    rows, K = x.shape
    groups = -(-K // size)
    padded = np.zeros((rows, groups * size), np.float32)
    padded[:, :K] = x
    codes, scale = quantize_rows(padded.reshape(rows, groups, size))
    return codes.astype(np.float32), scale


@parallel
def _linear(x, x_scale, codes, scale, y):
    n, groups = y.shape[1], x.shape[1]
    for panel in prange(len(codes)):
        for row in range(len(x)):
            total = np.zeros(PANEL, np.float32)
            for group in range(groups):
                x_sum = np.float32(0)
                for value in x[row, group]:
                    x_sum += value
                for i in range(PANEL):
                    inner = np.float32(0)
                    for word in range(4):
                        for j in range(4):
                            pair = codes[panel, 4 * group + word, i, j]
                            inner += np.float32(pair & 15) * x[row, group, 8 * word + j]
                            inner += np.float32(pair >> 4) * x[row, group, 8 * word + 4 + j]
                    inner = scale[panel, group, 0, i] * inner + scale[panel, group, 1, i] * x_sum
                    total[i] += x_scale[row, group] * inner
            for i in range(min(PANEL, n - panel * PANEL)):
                y[row, panel * PANEL + i] = total[i]
