"""Losses that need no kernel of their own (cross_entropy.py has one)."""

from __future__ import annotations

import numpy as np

from minigrad.ops.arithmetic import operands
from minigrad.tensor import Operand, Tensor


def mse_loss(x: Operand, target: Operand) -> Tensor:
    """Mean of (x - target)^2 over all elements.  x, target: one shape.  Returns ()."""
    a, b = operands("mse_loss", x, target)
    if a.shape != b.shape:
        raise ValueError(
            f"mse_loss: x {a.shape} and target {b.shape} must have one shape (broadcasting here is "
            "mostly a mistake)"
        )
    difference = a.data - b.data
    scale = difference.dtype.type(2 / max(difference.size, 1))

    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        da = dy * scale * difference
        return da, -da

    return Tensor(np.asarray(np.square(difference).mean()), (a, b), backward)
