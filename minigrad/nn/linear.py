"""Linear: a dense layer.  What it computes: kernels/numpy_ref/linear.py."""

from __future__ import annotations

from minigrad import ops
from minigrad.nn import init
from minigrad.nn.module import Module
from minigrad.tensor import Tensor


class Linear(Module):
    """activation(x) W^T + b.

    weight: (out, in), N(0, std^2), or PyTorch's uniform when std is None; bias: (out,), zeros.
    activation: of the input: None, "gelu", "relu2" or "silu", computed inside the product.
    rng: a seed or a numpy Generator: Linear(3, 2, rng=0); None for zeros, to be loaded into.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        activation: str | None = None,
        std: float | None = None,
        *,
        rng: init.Random,
    ):
        shape = (out_features, in_features)
        self.weight = (
            init.fan_in_uniform(shape, rng) if std is None else init.normal(shape, std, rng)
        )
        self.bias = init.zeros((out_features,)) if bias else None
        self.activation = activation

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """x: (..., in), residual: (..., out) added at the end.  Returns (..., out)."""
        return ops.linear(x, self.weight, self.bias, self.activation, residual)
