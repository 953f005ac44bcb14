import numpy as np


def layernorm_forward(x, weight, bias=None, residual=None, eps=1e-5):
    s = x if residual is None else x + residual
    n = s.shape[-1]
    mean = np.add.reduce(s, axis=-1) / s.dtype.type(n)
    centred = s - mean[..., None]
    rstd = (np.einsum("...i,...i->...", centred, centred) / n + eps) ** -0.5
    rstd = np.asarray(rstd, s.dtype)
    y = centred * rstd[..., None] * weight
    return (y if bias is None else y + bias), s, mean.reshape(-1), rstd.reshape(-1)
