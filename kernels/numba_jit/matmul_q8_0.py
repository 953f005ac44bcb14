"""The dense layer on q8_0 weights in Numba.

What it means: numpy_ref/matmul_q8_0.py.  Also written in: c/matmul_q8_0.c.
"""

import numpy as np

from kernels.numba_jit.jit import parallel, prange
from kernels.numba_jit.matmul_int8 import ready
from kernels.numba_jit.matmul_q4_1 import quantize_blocks
from kernels.numpy_ref.matmul_int8 import finish
from kernels.packing import GROUP, PANEL, Packed


def linear_q8_0_forward(x, weight: Packed, bias=None, residual=None):
    """As numpy_ref.linear_q8_0_forward, float32."""
    (x, bias, residual), (rows, K, N) = ready("q8_0", x, weight, bias, residual)
    y = np.empty((rows, N), np.float32)
    codes, scale = quantize_blocks(x.reshape(rows, K), GROUP["q8_0"])
    _linear(codes, scale, weight.codes, weight.scale.astype(np.float32), y)
    return finish(y.reshape(*x.shape[:-1], N), bias, residual)


@parallel
def _linear(x, x_scale, codes, scale, y):
    n, groups = y.shape[1], x.shape[1]
    for panel in prange(len(codes)):
        for row in range(len(x)):
            total = np.zeros(PANEL, np.float32)
            for group in range(groups):
                for i in range(PANEL):
                    inner = np.float32(0)
                    for k in range(32):
                        code = np.float32(codes[panel, 8 * group + k // 4, i, k % 4])
                        inner += (code - np.float32(128)) * x[row, group, k]
                    total[i] += x_scale[row, group] * scale[panel, group, i] * inner
            for i in range(min(PANEL, n - panel * PANEL)):
                y[row, panel * PANEL + i] = total[i]
