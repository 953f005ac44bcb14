"""softmax, differentiable.  What it means: kernels/numpy_ref/softmax.py."""

from __future__ import annotations

from kernels import active
from minigrad.ops.dense import dense
from minigrad.tensor import Tensor


def softmax(x: Tensor) -> Tensor:
    """Softmax over the last axis.  x: (..., V); a row of only -inf gives zeros."""
    y = active.softmax_forward(dense(x))
    return Tensor(y, (x,), lambda dy: (active.softmax_backward(dy, y),))
