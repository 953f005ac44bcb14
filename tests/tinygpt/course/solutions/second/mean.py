import numpy as np

from minigrad.ops.reductions import _count, _over
from minigrad.tensor import Tensor, floats


def mean(x, axis=None, keepdims=False):
    x = floats(x)
    shape, (axes, kept) = x.data.shape, _over(x, axis)
    share = x.data.dtype.type(1 / _count(shape, axes))
    y = np.asarray(np.add.reduce(x.data, axis=axes, keepdims=keepdims) * share)
    return Tensor(y, (x,), lambda dy: (np.broadcast_to(share * dy.reshape(kept), shape),))
