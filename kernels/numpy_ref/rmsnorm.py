"""RMS normalisation: layer normalisation without the mean and the bias.

Also written in: numba_jit/rmsnorm.py, c/rmsnorm.c.  Compare: layernorm.py.
"""

import numpy as np

from kernels import contracts


def rmsnorm_forward(x, weight, residual=None, eps=1e-5):
    """y = s / sqrt(mean(s^2) + eps) * weight, where s = x + residual.

    x, residual: (..., C) float; weight: (C,).
    Returns (y, s, rstd): y and s (..., C), s being x itself without a residual;
    rstd = 1 / sqrt(mean(s^2) + eps), (R,), saved for backward together with s.
    Source: Zhang and Sennrich 2019.
    """
    contracts.rmsnorm_forward.check(x, weight, residual)
    s = x if residual is None else x + residual
    rstd = 1 / np.sqrt((s * s).mean(axis=-1, keepdims=True) + x.dtype.type(eps))  # (..., 1)
    return s * rstd * weight, s, rstd.reshape(-1)


def rmsnorm_backward(dy, s, weight, rstd, ds=None):
    """Gradients of rmsnorm_forward.

    dy: (..., C); s, rstd as forward returned; ds: (..., C), a gradient that reached s by another
    way, added in the same pass.  Returns (dx, dweight); dx is for x and residual alike.
    """
    contracts.rmsnorm_backward.check(dy, s, weight, rstd, ds)
    r = rstd.reshape(*s.shape[:-1], 1)
    # n_i = s_i r, dr/ds_j = -r^2 n_j / C   =>   ds_j = r (dn_j - n_j mean_i(dn_i n_i))
    n = s * r
    dn = dy * weight
    dx = r * (dn - n * (dn * n).mean(axis=-1, keepdims=True))
    return dx if ds is None else dx + ds, (dy * n).sum(axis=tuple(range(s.ndim - 1)))
