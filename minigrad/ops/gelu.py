"""gelu, differentiable.  What it means: kernels/numpy_ref/gelu.py."""

from __future__ import annotations

from kernels import active
from minigrad.ops.dense import dense
from minigrad.tensor import Tensor


def gelu(x: Tensor) -> Tensor:
    """GELU, tanh form, any shape.  (Before a product use linear(..., activation="gelu").)"""
    u = dense(x)
    return Tensor(active.gelu_forward(u), (x,), lambda dy: (active.gelu_backward(dy, u),))
