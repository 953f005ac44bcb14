import numpy as np


def rmsnorm_backward(dy, s, weight, rstd, ds=None):
    r, C = rstd.reshape(*s.shape[:-1], 1), s.shape[-1]
    dn = dy * weight
    dr = (dn * s).sum(-1, keepdims=True)
    dx = dn * r - s * r**3 * dr / C
    if ds is not None:
        dx = dx + ds
    return dx, np.sum(dy * s * r, axis=tuple(range(s.ndim - 1)))
