"""int8 products in Numba: exact in int32.  What it means: numpy_ref/matmul_int8.py.

Also written in: c/matmul_int8.c.  A panel's 16 sums advance together over one stream of codes.
"""

import numpy as np

from kernels import checks, contracts
from kernels.numba_jit.jit import parallel, prange
from kernels.numpy_ref.matmul_int8 import TINY, finish
from kernels.packing import PANEL, Packed


def quantize_rows(x):
    """As numpy_ref.quantize_rows, float32."""
    (x,), flat = contracts.quantize_rows.ready(x)
    q, scale = np.empty(x.shape, np.int8), np.empty(x.shape[:-1], np.float32)
    if scale.size:
        _quantize(x.reshape(flat), q.reshape(flat), scale.reshape(-1))
    return q, scale


def matmul_int8(x, weight: Packed):
    """As numpy_ref.matmul_int8."""
    checks.packed("matmul_int8", weight, "int8")
    N, K = weight.shape
    (x,), flat = contracts.matmul_int8.ready(x, K=K)
    padded = np.zeros((flat[0], weight.codes.shape[1] * 4), np.int8)
    padded[:, :K] = x.reshape(flat)
    y = np.empty((len(padded), N), np.int32)
    _matmul(padded, weight.codes, y)
    return y.reshape(*x.shape[:-1], N)


def linear_int8_forward(x, weight: Packed, bias=None, residual=None):
    """As numpy_ref.linear_int8_forward, float32."""
    (x, bias, residual), _ = ready("int8", x, weight, bias, residual)
    q, x_scale = quantize_rows(x)
    y = matmul_int8(q, weight) * (x_scale[..., None] * weight.scale)
    return finish(y.astype(np.float32), bias, residual)


def ready(scheme: str, x, weight, bias, residual):
    """((x, bias, residual), (rows, K, N)) for linear_<scheme>_forward."""
    checks.packed(f"linear_{scheme}", weight, scheme)
    N, K = weight.shape
    return contracts.linear_packed[scheme].ready(x, bias, residual, N=N, K=K)


@parallel
def _quantize(x, q, scale):
    for row in prange(len(x)):
        peak = np.float32(0)
        for value in x[row]:
            peak = max(peak, abs(value))
        if peak < np.float32(TINY):
            scale[row] = 0
            q[row] = 0
        else:
            scale[row] = peak / np.float32(127)
            inverse = np.float32(1) / scale[row]
            for i in range(x.shape[1]):
                q[row, i] = np.int8(np.rint(x[row, i] * inverse))


@parallel
def _matmul(x, codes, y):
    n = y.shape[1]
    for panel in prange(len(codes)):
        for row in range(len(x)):
            total = np.zeros(PANEL, np.int32)
            for step in range(codes.shape[1]):
                for i in range(PANEL):
                    for j in range(4):
                        product = np.int32(x[row, 4 * step + j]) * codes[panel, step, i, j]
                        total[i] += np.int32(product)
            for i in range(min(PANEL, n - panel * PANEL)):
                y[row, panel * PANEL + i] = total[i]
