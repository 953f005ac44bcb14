import numpy as np


def layernorm_backward(dy, s, weight, mean, rstd, ds=None):
    shape = s.shape[:-1] + (1,)
    r, C = rstd.reshape(shape), s.shape[-1]
    centred = s - mean.reshape(shape)
    dn = weight * dy
    drstd = (dn * centred).sum(-1, keepdims=True)
    dx = dn * r - centred * (drstd * r**3 / C)
    dx = dx - (dn * r).sum(-1, keepdims=True) / C
    if ds is not None:
        dx = dx + ds
    axes = tuple(range(s.ndim - 1))
    return dx, np.sum(dy * centred * r, axis=axes), np.sum(dy, axis=axes)
