import numpy as np

from minigrad.ops.arithmetic import operands
from minigrad.tensor import FLOATS, Tensor


def div(a, b):
    a, b = operands("div", a, b)
    u, v = a.data, b.data
    y = np.asarray(u / v)
    if u.dtype not in FLOATS:
        return Tensor(y.astype("float32"))
    return Tensor(y, (a, b), lambda dy: (dy / v, -dy * u / (v * v)))
