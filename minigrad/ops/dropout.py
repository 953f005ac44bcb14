"""dropout, differentiable.  What it means: kernels/numpy_ref/dropout.py."""

from __future__ import annotations

from kernels import active
from minigrad.ops.dense import dense
from minigrad.tensor import Tensor


def dropout(x: Tensor, p: float, key: int) -> Tensor:
    """Each element set to 0 with probability p, else scaled by 1 / (1 - p).

    key: 64-bit; it and the element's index decide the mask, so nothing is saved and backward
    computes the mask again.  nn.Dropout draws the keys.
    """
    y = active.dropout_forward(dense(x), p, key)
    return Tensor(y, (x,), lambda dy: (active.dropout_backward(dy, p, key),))
