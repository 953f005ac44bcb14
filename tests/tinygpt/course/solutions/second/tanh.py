import numpy as np

from minigrad.tensor import Tensor, floats


def tanh(x):
    x = floats(x)
    u = x.data

    def backward(dy):
        return (dy / np.cosh(u) ** 2,)

    return Tensor(np.tanh(u), (x,), backward)
