from minigrad.ops.arithmetic import operands
from minigrad.tensor import Tensor


def mul(a, b):
    a, b = operands("mul", a, b)
    left, right = a.data, b.data
    return Tensor(left * right, (a, b), lambda dy: (right * dy, left * dy))
