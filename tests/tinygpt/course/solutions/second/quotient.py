import numpy as np

from minigrad.ops.arithmetic import apply, operands
from minigrad.tensor import FLOATS, Tensor


def div(a, b):
    a, b = operands("div", a, b)
    if a.data.dtype in FLOATS:
        y = apply("div", np.divide, a, b)
        inverse = 1 / b.data
        return Tensor(y, (a, b), lambda dy: (dy * inverse, -(dy * y) * inverse))
    return Tensor((a.data / b.data).astype(np.float32))
