"""Layer normalisation in Numba; derived in numpy_ref/layernorm.py.  Also written in: c/layernorm.c.

A row is read from memory once: its three sweeps (sum, squared deviations, output) find it in the
L1 cache. Rows are shared out over the threads; dweight and dbias are summed over a fixed number of
row blocks, so that their bytes do not depend on how many threads there are.
"""

import numpy as np

from kernels import contracts, memory
from kernels.numba_jit.jit import parallel, prange

BLOCKS = 32  # partial sums of dweight and dbias


def layernorm_forward(x, weight, bias=None, residual=None, eps=1e-5):
    """As numpy_ref.layernorm_forward, float32."""
    contract = contracts.layernorm_forward
    (x, weight, bias, residual), (rows, C) = contract.ready(x, weight, bias, residual)
    flat = (rows, C)
    y, mean, rstd = memory.empty(x.shape), memory.empty((rows,)), memory.empty((rows,))
    s = x if residual is None else memory.empty(x.shape)
    _forward(
        x.reshape(flat), (x if residual is None else residual).reshape(flat), weight,
        np.zeros_like(weight) if bias is None else bias, np.float32(eps), residual is not None,
        y.reshape(flat), s.reshape(flat), mean, rstd,
    )
    return y, s, mean, rstd


def layernorm_backward(dy, s, weight, mean, rstd, ds=None):
    """As numpy_ref.layernorm_backward, float32."""
    arrays, flat = contracts.layernorm_backward.ready(dy, s, weight, mean, rstd, ds)
    dy, s, weight, mean, rstd, ds = arrays
    dx = memory.empty(s.shape)
    partial = np.zeros((2, BLOCKS, s.shape[-1]), np.float32)
    _backward(
        dy.reshape(flat), s.reshape(flat), weight, mean, rstd,
        (dy if ds is None else ds).reshape(flat), ds is not None,
        dx.reshape(flat), partial,
    )
    dweight, dbias = partial.sum(axis=1)
    return dx, dweight, dbias


@parallel
def _forward(x, residual, weight, bias, eps, has_residual, y, s, mean, rstd):
    rows, channels = x.shape
    for r in prange(rows):
        if has_residual:
            for c in range(channels):
                s[r, c] = x[r, c] + residual[r, c]
        total = np.float32(0)
        for c in range(channels):
            total += s[r, c]
        m = total / np.float32(channels)
        squares = np.float32(0)
        for c in range(channels):
            squares += (s[r, c] - m) * (s[r, c] - m)
        scale = np.float32(1) / np.sqrt(squares / np.float32(channels) + eps)
        for c in range(channels):
            y[r, c] = (s[r, c] - m) * scale * weight[c] + bias[c]
        mean[r], rstd[r] = m, scale


@parallel
def _backward(dy, s, weight, mean, rstd, ds, has_ds, dx, partial):
    rows, channels = s.shape
    per_block = (rows + BLOCKS - 1) // BLOCKS
    for block in prange(BLOCKS):
        dweight, dbias = partial[0, block], partial[1, block]
        for r in range(block * per_block, min((block + 1) * per_block, rows)):
            m, scale = mean[r], rstd[r]
            sum_dn, sum_dn_n = np.float32(0), np.float32(0)
            for c in range(channels):
                n = (s[r, c] - m) * scale
                dn = dy[r, c] * weight[c]
                sum_dn += dn
                sum_dn_n += dn * n
                dweight[c] += dy[r, c] * n
                dbias[c] += dy[r, c]
            a, b = sum_dn / np.float32(channels), sum_dn_n / np.float32(channels)
            for c in range(channels):
                n = (s[r, c] - m) * scale
                dx[r, c] = scale * (dy[r, c] * weight[c] - a - n * b)
            if has_ds:
                for c in range(channels):
                    dx[r, c] += ds[r, c]
