"""LayerNorm.  What it computes: kernels/numpy_ref/layernorm.py."""

from __future__ import annotations

from minigrad import ops
from minigrad.nn import init
from minigrad.nn.module import Module
from minigrad.tensor import Tensor


class LayerNorm(Module):
    """Layer norm over the last axis.  weight: (C,) ones; bias: (C,) zeros or None."""

    def __init__(self, channels: int, bias: bool = True, eps: float = 1e-5):
        self.weight = init.ones((channels,))
        self.bias = init.zeros((channels,)) if bias else None
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., C).  Returns the same shape."""
        return ops.layernorm(x, self.weight, self.bias, self.eps)

    def add_norm(self, x: Tensor, residual: Tensor | None) -> tuple[Tensor, Tensor]:
        """(norm(s), s) for s = x + residual, in one pass; without a residual s is x."""
        return ops.add_layernorm(x, residual, self.weight, self.bias, self.eps)
