import numpy as np


def rmsnorm_backward(dy, s, weight, rstd, ds=None):
    C = s.shape[-1]
    n = s.reshape(-1, C) * rstd[:, None]
    up = dy.reshape(-1, C)
    dn = up * weight
    along = np.einsum("rc,rc->r", dn, n) / s.dtype.type(C)
    dx = (rstd[:, None] * (dn - along[:, None] * n)).reshape(s.shape)
    return (dx if ds is None else ds + dx), np.einsum("rc,rc->c", up, n)
