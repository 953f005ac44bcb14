"""RMS normalisation in Numba; derived in numpy_ref/rmsnorm.py.  Also written in: c/rmsnorm.c.

Sweeps and threads as in layernorm.py, which is this with a mean and a bias.
"""

import numpy as np

from kernels import contracts, memory
from kernels.numba_jit.jit import parallel, prange

BLOCKS = 32  # partial sums of dweight


def rmsnorm_forward(x, weight, residual=None, eps=1e-5):
    """As numpy_ref.rmsnorm_forward, float32."""
    (x, weight, residual), flat = contracts.rmsnorm_forward.ready(x, weight, residual)
    y, rstd = memory.empty(x.shape), memory.empty(flat[:1])
    s = x if residual is None else memory.empty(x.shape)
    _forward(
        x.reshape(flat), (x if residual is None else residual).reshape(flat),
        weight, np.float32(eps), residual is not None, y.reshape(flat), s.reshape(flat), rstd,
    )
    return y, s, rstd


def rmsnorm_backward(dy, s, weight, rstd, ds=None):
    """As numpy_ref.rmsnorm_backward, float32."""
    (dy, s, weight, rstd, ds), flat = contracts.rmsnorm_backward.ready(dy, s, weight, rstd, ds)
    dx, partial = memory.empty(s.shape), np.zeros((BLOCKS, s.shape[-1]), np.float32)
    _backward(
        dy.reshape(flat), s.reshape(flat), weight, rstd,
        (dy if ds is None else ds).reshape(flat), ds is not None,
        dx.reshape(flat), partial,
    )
    return dx, partial.sum(axis=0)


@parallel
def _forward(x, residual, weight, eps, has_residual, y, s, rstd):
    rows, channels = x.shape
    for r in prange(rows):
        if has_residual:
            for c in range(channels):
                s[r, c] = x[r, c] + residual[r, c]
        squares = np.float32(0)
        for c in range(channels):
            squares += s[r, c] * s[r, c]
        scale = np.float32(1) / np.sqrt(squares / np.float32(channels) + eps)
        for c in range(channels):
            y[r, c] = s[r, c] * scale * weight[c]
        rstd[r] = scale


@parallel
def _backward(dy, s, weight, rstd, ds, has_ds, dx, partial):
    rows, channels = s.shape
    per_block = (rows + BLOCKS - 1) // BLOCKS
    for block in prange(BLOCKS):
        dweight = partial[block]
        for r in range(block * per_block, min((block + 1) * per_block, rows)):
            scale, sum_dn_n = rstd[r], np.float32(0)
            for c in range(channels):
                share = dy[r, c] * s[r, c] * scale  # dy n
                sum_dn_n += share * weight[c]
                dweight[c] += share
            slope = scale * scale * sum_dn_n / np.float32(channels)
            for c in range(channels):
                dx[r, c] = scale * dy[r, c] * weight[c] - slope * s[r, c]
            if has_ds:
                for c in range(channels):
                    dx[r, c] += ds[r, c]
