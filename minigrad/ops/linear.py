"""linear, differentiable.  What it means: kernels/numpy_ref/linear.py."""

from __future__ import annotations

import numpy as np

from kernels import active
from kernels.checks import GATED
from minigrad.ops.dense import dense
from minigrad.tensor import Tensor

__all__ = ["GATED", "activate", "activated", "activated_backward", "linear"]


def linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    activation: str | None = None,
    residual: Tensor | None = None,
) -> Tensor:
    """activation(x) W^T + bias + residual.

    x: (..., in), weight: (out, in), bias: (out,), residual: (..., out); activation: None, "gelu",
    "relu2", "silu", "relu", "gelu_erf", or a gate, "swiglu" or "geglu", of an x (..., 2 in).
    Saved: x, or nothing if it can be made again or no wanted gradient reads it (a frozen weight
    without an activation).
    """
    u, w = dense(x), dense(weight)
    b = None if bias is None else dense(bias)
    r = None if residual is None else dense(residual)
    y = active.linear_forward(u, w, b, activation, r)
    wants = tuple(t is not None and t.requires_grad for t in (x, weight, bias))
    kept = remake = None
    if wants[1] or (wants[0] and activation is not None):
        kept, remake = (u, None) if x.remake is None else (None, x.remake)

    def backward(dy: np.ndarray) -> tuple[np.ndarray | None, ...]:
        u = kept if remake is None else remake()
        return (*active.linear_backward(dy, u, w, activation, b, wants), dy)

    return Tensor(y, (x, weight, bias, residual), backward)


def activated(x: np.ndarray, activation: str | None) -> np.ndarray:
    """activation(x) by itself, what `linear` multiplies, of x (..., C); no gradient."""
    return x if activation is None else active.activate_forward(x, activation)


def activated_backward(dy: np.ndarray, x: np.ndarray, activation: str | None) -> np.ndarray:
    """dy activation'(x), the gradient of `activated`."""
    return dy if activation is None else active.activate_backward(dy, x, activation)


def activate(x: Tensor, activation: str) -> Tensor:
    """`activated`, differentiable, for the few that no product follows.  Saved: x."""
    u = dense(x)
    return Tensor(
        activated(u, activation), (x,), lambda dy: (activated_backward(dy, u, activation),)
    )
