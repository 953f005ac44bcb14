"""Softmax over the last axis, one row at a time while it is in the cache.

What it means: numpy_ref/softmax.py.  Also written in: c/softmax.c.
"""

import numpy as np

from kernels import contracts, memory
from kernels.numba_jit.jit import parallel, prange
from kernels.numba_jit.vector_math import exp, row_max


def softmax_forward(x):
    """y = softmax of each row; see numpy_ref.softmax_forward."""
    (x,), _ = contracts.softmax_forward.ready(x)
    y = memory.empty(x.shape)
    if x.size:
        rows = x.reshape(-1, x.shape[-1])  # (..., V) -> (R, V)
        _forward(rows, y.reshape(rows.shape))
    return y


def softmax_backward(dy, y):
    """dx of each row; see numpy_ref.softmax_backward."""
    (dy, y), _ = contracts.softmax_backward.ready(dy, y)
    dx = memory.empty(y.shape)
    if y.size:
        shape = (-1, y.shape[-1])
        _backward(dy.reshape(shape), y.reshape(shape), dx.reshape(shape))
    return dx


@parallel
def _forward(x, y):
    for row in prange(x.shape[0]):
        peak = row_max(x[row])
        if peak == -np.inf:  # every entry masked: zeros, not nan
            y[row] = 0
            continue
        total = np.float32(0)
        for j in range(x.shape[1]):
            e = exp(x[row, j] - peak)
            y[row, j] = e
            total += e
        inverse = np.float32(1) / total
        for j in range(x.shape[1]):
            y[row, j] *= inverse


@parallel
def _backward(dy, y, dx):
    for row in prange(y.shape[0]):
        dot = np.float32(0)
        for j in range(y.shape[1]):
            dot += dy[row, j] * y[row, j]
        for j in range(y.shape[1]):
            dx[row, j] = y[row, j] * (dy[row, j] - dot)
