import numpy as np


def layernorm_forward(x, weight, bias=None, residual=None, eps=1e-5):
    s = x if residual is None else residual + x
    mean, var = s.mean(-1, keepdims=True), s.var(-1, keepdims=True)
    rstd = np.reciprocal(np.sqrt(var + s.dtype.type(eps)))
    y = weight * ((s - mean) * rstd)
    if bias is not None:
        y += bias
    return y, s, mean.ravel(), rstd.ravel()
