"""IA3: a number for each key, each value and each channel inside the MLP, and nothing else.

    k = l_k * (W_k x),    v = l_v * (W_v x),    mlp = W_down (l_ff * act(W_up x))

"Infused adapter by inhibiting and amplifying inner activations". All begin as ones, and are rows or
columns of the matrices afterwards: the merge is exact. A ten-thousandth of a model is trained.

Source: Liu et al. 2022.
Read next: bottleneck.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigrad import Tensor, nn
from minigrad.ops.linear import activate
from tinygpt.adapters.targets import Adapted, Product, Rows, floats, matrix_shape, placed, product


class ScaledOutput(Adapted):
    """gain * (W x + b).  gain: (rows of all parts,) ones; other rows stay as they are."""

    def __init__(self, base: Product, rows: Sequence[Rows]):
        self.base, self.rows = base, tuple(rows)
        self.gain = nn.init.ones((sum(stop - start for start, stop in rows),))

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """x: (..., in), residual: (..., out) added at the end.  Returns (..., out)."""
        y = self.base(x) * self.gains()
        return y if residual is None else y + residual

    def gains(self) -> Tensor:
        """Of all rows, (out,)."""
        return placed(self.gain, self.rows, matrix_shape(self.base)[0])

    def merged(self) -> nn.Linear:
        made, gain = floats(self.base), self.gains().data
        made.weight.data *= gain[:, None]
        if made.bias is not None:
            made.bias = nn.Parameter(made.bias.data * gain)
        return made


class ScaledInput(Adapted):
    """W (gain * act(x)) + b.  gain: (in,) ones."""

    def __init__(self, base: Product):
        self.base = base
        self.gain = nn.init.ones((matrix_shape(base)[1],))

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """x: what the product reads.  Returns (..., out)."""
        activation = self.base.activation
        read = x if activation is None else activate(x, activation)
        y = product(self.base, read * self.gain, activated=True)
        y = y if self.base.bias is None else y + self.base.bias
        return y if residual is None else y + residual

    def merged(self) -> nn.Linear:
        made = floats(self.base)
        made.weight.data *= np.asarray(self.gain.data)
        return made
