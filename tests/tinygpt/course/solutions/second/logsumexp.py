import numpy as np

from minigrad.ops.reductions import _over, _without
from minigrad.tensor import Tensor, floats


def logsumexp(x, axis=None, keepdims=False):
    x = floats(x)
    u, (axes, kept) = x.data, _over(x, axis)
    peak = u.max(axis=axes, keepdims=True)
    with np.errstate(all="ignore"):
        y = np.where(np.isneginf(peak), peak,
                     peak + np.log(np.exp(u - peak).sum(axis=axes, keepdims=True)))

    def backward(dy):
        with np.errstate(all="ignore"):
            slope = np.nan_to_num(np.exp(u - y), nan=0.0)
        return ((dy.reshape(kept) * slope).astype(u.dtype),)

    return Tensor(y if keepdims else y.reshape(_without(u.shape, axes)), (x,), backward)
