"""softmax, differentiable.  What it means: kernels/numpy_ref/softmax.py.  And its logarithm."""

from __future__ import annotations

import numpy as np

from kernels import active
from minigrad.ops.dense import dense
from minigrad.ops.reductions import logsumexp
from minigrad.ops.shape import reshape, swapaxes
from minigrad.tensor import Tensor, floats


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """Softmax over an axis.  x: (..., V); a row of only -inf gives zeros."""
    if not x.data.shape:
        return reshape(softmax(reshape(x, (1,)), axis), ())
    if axis != -1:
        return swapaxes(softmax(swapaxes(x, axis, -1)), axis, -1)
    y = active.softmax_forward(dense(x))
    return Tensor(y, (x,), lambda dy: (active.softmax_backward(dy, y),))


def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """log softmax over an axis: x - log sum e^x."""
    x = floats(x)
    y = x.data - logsumexp(x.detach(), axis, keepdims=True).data

    # y_i = x_i - log s   =>   dx_j = dy_j - softmax_j sum_i dy_i
    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        return (dy - np.exp(y) * dy.sum(axis=axis, keepdims=True),)

    return Tensor(y, (x,), backward)
