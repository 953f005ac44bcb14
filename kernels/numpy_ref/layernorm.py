"""Layer normalisation, with the residual add that always stands before it.

Also written in: numba_jit/layernorm.py, c/layernorm.c.  Compare: rmsnorm.py.
"""

import numpy as np

from kernels import contracts


def layernorm_forward(x, weight, bias=None, residual=None, eps=1e-5):
    """y = (s - mean(s)) / sqrt(var(s) + eps) * weight + bias, where s = x + residual.

    x, residual: (..., C) float; weight, bias: (C,).  The variance is the biased one (divides by C).
    Returns (y, s, mean, rstd): y and s (..., C), s being x itself without a residual;
    mean and rstd = 1 / sqrt(var + eps), both (R,), R the number of rows, saved for backward
    together with s (the normalised rows are cheaper to recompute than to keep).
    Source: Ba, Kiros and Hinton 2016.
    """
    contracts.layernorm_forward.check(x, weight, bias, residual)
    s = x if residual is None else x + residual
    mean = s.mean(axis=-1, keepdims=True)  # (..., 1)
    variance = ((s - mean) ** 2).mean(axis=-1, keepdims=True)
    rstd = 1 / np.sqrt(variance + x.dtype.type(eps))
    y = (s - mean) * rstd * weight
    if bias is not None:
        y = y + bias
    return y, s, mean.reshape(-1), rstd.reshape(-1)


def layernorm_backward(dy, s, weight, mean, rstd, ds=None):
    """Gradients of layernorm_forward.

    dy: (..., C); s, mean, rstd as forward returned; ds: (..., C), a gradient that reached s by
    another way (the residual stream), added in the same pass.
    Returns (dx, dweight, dbias): dx (..., C) is the gradient of x and of residual alike.
    """
    contracts.layernorm_backward.check(dy, s, weight, mean, rstd, ds)
    column = (*s.shape[:-1], 1)
    n = (s - mean.reshape(column)) * rstd.reshape(column)  # normalised rows
    # y_i = n_i w_i + b_i   =>   dn = dy w,   dw = sum_rows dy n,   db = sum_rows dy
    # n_i = (s_i - m) r, dm/ds_j = 1/C, dr/ds_j = -r^2 n_j / C
    # ds_j = r (dn_j - mean_i dn_i - n_j mean_i(dn_i n_i))
    dn = dy * weight
    dx = rstd.reshape(column) * (
        dn - dn.mean(axis=-1, keepdims=True) - n * (dn * n).mean(axis=-1, keepdims=True)
    )
    rows = tuple(range(s.ndim - 1))
    return dx if ds is None else dx + ds, (dy * n).sum(axis=rows), dy.sum(axis=rows)
