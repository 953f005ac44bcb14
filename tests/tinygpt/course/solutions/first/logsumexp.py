import numpy as np

from minigrad.ops.reductions import _over
from minigrad.tensor import Tensor, floats


def logsumexp(x, axis=None, keepdims=False):
    x = floats(x)
    u, (axes, kept) = x.data, _over(x, axis)
    top = np.max(u, axis=axes, keepdims=True)
    top = np.where(np.isneginf(top), 0, top).astype(u.dtype)
    e = np.exp(u - top)
    total = e.sum(axis=axes, keepdims=True)
    with np.errstate(divide="ignore"):
        y = top + np.log(total)
    share = e / np.where(total == 0, 1, total)
    shape = u.sum(axis=axes, keepdims=keepdims).shape
    return Tensor(y.reshape(shape), (x,), lambda dy: (dy.reshape(kept) * share,))
