"""DoRA: how long each row of a matrix is, and which way it points, learned apart.

    y = g (W x + s B A x) + b,     g = m / ||W + s B A||     row by row

m, the magnitude of each output, begins as the length of W's row, so that g = 1. LoRA ties the two:
what turns a row also stretches it. The length is a constant in backward (section 4.3 of the paper),
so its gradient costs nothing; and it is computed without the sum of matrices, which is as large as
the weight that QLoRA keeps in four bits:

    ||W + U||^2 = ||W||^2 + 2 sum_i (W A^T)_i U'_i + ||U||^2,   U = U' A,   U' = s B

Source: Liu et al. 2024.
Read next: ia3.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigrad import Tensor, nn, ops
from minigrad.ops.linear import activate
from tinygpt.adapters.config import MethodConfig
from tinygpt.adapters.lora import LoRALinear
from tinygpt.adapters.targets import Product, Rows, placed, product, row_lengths
from tinygpt.errors import UserError


class DoRALinear(LoRALinear):
    """LoRALinear with a magnitude.  magnitude: (rows of all parts,), the lengths of W's rows.

    Raises UserError as LoRALinear, and for weights whose product rounds what it multiplies: the
    length would be that of another matrix.
    """

    def __init__(
        self,
        base: Product,
        rows: Sequence[Rows],
        method: MethodConfig,
        rng: np.random.Generator | None,
    ):
        if isinstance(base, nn.QuantizedLinear) and base.packed.scheme != "nf4":
            raise UserError(
                f"method dora measures the rows of its matrices, and {base.packed.scheme} weights "
                "round what they multiply. Give the float model, or one of nf4, or choose lora."
            )
        super().__init__(base, rows, method, rng)
        lengths = row_lengths(base)
        self._squares = lengths.astype(np.float64) ** 2
        self.magnitude = nn.Parameter(np.concatenate([lengths[a:b] for a, b in rows]))

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        wide = self.wide()
        gain = self._gain(wide)  # (out,)
        added = ops.linear(self.thin(x), wide)
        if self.dropout.p and self.training:  # both are of the dropped x, but for what W x was
            y = product(self.base, x) + (gain - 1) * self._dropped(x) + gain * added
        else:
            y = gain * (product(self.base, x) + added)
        y = y if self.base.bias is None else y + self.base.bias
        return y if residual is None else y + residual

    def _dropped(self, x: Tensor) -> Tensor:
        activation = self.base.activation
        x = x if activation is None else activate(x, activation)
        return product(self.base, self.dropout(x), activated=True)

    def _gain(self, wide: Tensor) -> Tensor:
        """m / ||W + s B A||, and 1 for rows of no part: (out,)."""
        lengths = self._lengths(wide.data)
        of_parts = np.concatenate([lengths[a:b] for a, b in self.rows])
        return placed(self.magnitude / Tensor(of_parts), self.rows, self._out)

    def _lengths(self, wide: np.ndarray) -> np.ndarray:
        """||W + s B A|| of each row, (out,) float32; sums in float64, for they nearly cancel."""
        A = self.A.data
        crossed = product(self.base, Tensor(A), activated=True).data.T  # W A^T, (out, P r)
        squares = self._squares + 2 * (crossed * wide).sum(axis=1, dtype=np.float64)
        squares += ((wide @ (A @ A.T)) * wide).sum(axis=1, dtype=np.float64)
        return np.sqrt(np.maximum(squares, 0)).astype(np.float32)

    def magnitudes(self) -> np.ndarray:
        """Of all rows, (out,): of those of no part, their lengths."""
        whole = np.sqrt(self._squares).astype(np.float32)
        whole[np.concatenate([np.arange(a, b) for a, b in self.rows])] = self.magnitude.data
        return whole

    def merged(self) -> nn.Linear:
        made = super().merged()
        made.weight.data *= self._gain(self.wide()).data[:, None]
        return made
