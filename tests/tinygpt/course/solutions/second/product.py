import numpy as np

from minigrad.ops.arithmetic import apply, operands
from minigrad.tensor import Tensor


def mul(a, b):
    a, b = operands("mul", a, b)
    u, v = a.data.copy(), b.data.copy()

    def backward(dy):
        return np.multiply(dy, v), np.multiply(dy, u)

    return Tensor(apply("mul", np.multiply, a, b), (a, b), backward)
