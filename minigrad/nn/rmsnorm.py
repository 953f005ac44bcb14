"""RMSNorm.  What it computes: kernels/numpy_ref/rmsnorm.py."""

from __future__ import annotations

from minigrad import ops
from minigrad.nn import init
from minigrad.nn.module import Module
from minigrad.tensor import Tensor


class RMSNorm(Module):
    """RMS norm over the last axis.  weight: (C,) ones."""

    def __init__(self, channels: int, eps: float = 1e-5):
        self.weight = init.ones((channels,))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., C).  Returns the same shape."""
        return ops.rmsnorm(x, self.weight, self.eps)

    def add_norm(self, x: Tensor, residual: Tensor | None) -> tuple[Tensor, Tensor]:
        """(norm(s), s) for s = x + residual, in one pass; without a residual s is x."""
        return ops.add_rmsnorm(x, residual, self.weight, self.eps)
