import numpy as np

from minigrad.tensor import Tensor, floats


def tanh(x):
    x = floats(x)
    e = np.exp(-2 * np.abs(x.data))
    y = (np.sign(x.data) * (1 - e) / (1 + e)).astype(x.dtype)
    return Tensor(y, (x,), lambda dy: (dy - dy * y**2,))
