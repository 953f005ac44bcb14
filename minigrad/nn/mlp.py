"""MLP: each position alone, wide in the middle."""

from __future__ import annotations

from minigrad.nn import init
from minigrad.nn.dropout import Dropout
from minigrad.nn.linear import Linear
from minigrad.nn.module import Module
from minigrad.ops.linear import GATED
from minigrad.tensor import Tensor


class MLP(Module):
    """W2 activation(W1 x).

    hidden: width in the middle, None for 4 d_model (Vaswani et al. 2017).
    activation: of `ops.linear`; with a gate, W1 is one packed projection, (2 hidden, d_model): the
        gate's rows, then what passes it.
    std: standard deviation of W1's initial weights.
    residual_std: of W2, which adds to the residual stream.
    """

    def __init__(
        self,
        d_model: int,
        hidden: int | None = None,
        activation: str = "gelu",
        bias: bool = True,
        dropout: float = 0.0,
        std: float = 0.02,
        residual_std: float = 0.02,
        *,
        rng: init.Random,
    ):
        hidden, rng = hidden or 4 * d_model, init.generator(rng)
        first = 2 * hidden if activation in GATED else hidden
        self.up = Linear(d_model, first, bias=bias, std=std, rng=rng)
        self.down = Linear(
            hidden, d_model, bias=bias, activation=activation, std=residual_std, rng=rng
        )
        self.dropout = Dropout(dropout, rng)

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., d_model).  Returns the same shape."""
        return self.dropout(self.down(self.up(x)))
