"""Dropout.  What it computes: kernels/numpy_ref/dropout.py."""

from __future__ import annotations

from minigrad import ops
from minigrad.nn import init
from minigrad.nn.module import Module
from minigrad.recompute import draw_key
from minigrad.tensor import Tensor


class Dropout(Module):
    """In training, zero each element with probability p and scale the rest; else nothing.

    rng: a seed or a numpy Generator; gives one 64-bit key a call (not needed for p = 0).
    """

    def __init__(self, p: float = 0.5, rng: init.Random = None):
        if not 0 <= p < 1:
            raise ValueError(f"Dropout: p must be in [0, 1), not {p}")
        if p and rng is None:
            raise ValueError("Dropout: p > 0 needs rng, a seed or numpy Generator, for its masks")
        self.p = p
        self.rng = init.generator(rng)

    def forward(self, x: Tensor) -> Tensor:
        """x: any shape.  Returns the same shape."""
        if not self.training or not self.p or self.rng is None:
            return x
        return ops.dropout(x, self.p, draw_key(self.rng))
