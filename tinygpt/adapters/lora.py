"""LoRA: a frozen matrix and the product of two thin ones beside it.

    y = W x + s B A x          W (out, in) frozen,  A (r, in) and B (out, r) trained

What fine-tuning changes in W has a low rank, so r = 8 of 768 is enough; what is trained, has
gradients and moments, is a hundredth of the model. B begins as zeros: at first the model is what
it was. A step costs 4 N operations a token in place of 6 N, for W has no gradient. Afterwards
W + s B A is one matrix again, and nothing is slower than before (`merged`).

A packed projection has a pair for each of its parts: A holds theirs one below the other, and B's
rows are those of the parts. B as a whole is block-diagonal, so all are two products:

    [q]         [B_q        ] [A_q]
    [k] = W x + [    B_k    ] [A_k] x
    [v]         [        B_v] [A_v]

Source: Hu et al. 2021; its scale, Kalajdzievski 2023.
Read next: dora.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigrad import Tensor, nn, ops
from minigrad.ops.linear import activate
from minigrad.ops.linear_lora import linear_lora
from tinygpt.adapters.config import MethodConfig
from tinygpt.adapters.targets import Adapted, Product, Rows, floats, matrix_shape
from tinygpt.errors import UserError


class LoRALinear(Adapted):
    """base(x) + s B A x.

    base: the frozen product, float or quantized.  rows: the parts that have a pair of factors.
    A: (P r, in), U(-1/sqrt(in), 1/sqrt(in)); B: (rows of all P parts, r), zeros.
    rng: draws A and dropout; None: zeros, to be loaded, and no dropout.
    Raises UserError for a rank above the size of a part.
    """

    def __init__(
        self,
        base: Product,
        rows: Sequence[Rows],
        method: MethodConfig,
        rng: np.random.Generator | None,
    ):
        out, inner = matrix_shape(base)
        sizes = [stop - start for start, stop in rows]
        if method.rank > min(inner, *sizes):
            raise UserError(
                f"method.rank = {method.rank} is above {min(inner, *sizes)}, the width of a matrix "
                f"of {min(sizes)} rows and {inner} columns, which is as much as can change. Choose "
                "a lower rank."
            )
        self.base, self.rows, self.method = base, tuple(rows), method
        self.rank, self.scale = method.rank, method.scale
        self.A = nn.init.fan_in_uniform((len(sizes) * method.rank, inner), rng)
        self.B = nn.init.zeros((sum(sizes), method.rank))
        self.dropout = nn.Dropout(0.0 if rng is None else method.dropout, rng=rng)

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """x: (..., in), residual: (..., out) added at the end.  Returns (..., out)."""
        base = self.base
        if self.dropout.p and self.training:
            return ops.linear(self.thin(x), self.wide(), None, None, base(x, residual))
        weight = base.weight if isinstance(base, nn.Linear) else base.packed
        return linear_lora(x, weight, base.bias, self.A, self.wide(), base.activation, residual)

    def thin(self, x: Tensor) -> Tensor:
        """A x of each part, after what the product does to x: (..., in) -> (..., P r)."""
        activation = self.base.activation
        if self.dropout.p and self.training:
            read = x if activation is None else activate(x, activation)
            return ops.linear(self.dropout(read), self.A)
        return ops.linear(x, self.A, None, activation)

    def wide(self) -> Tensor:
        """s B, block-diagonal: (out, P r)."""
        return spread(self.B, self.rows, self._out, self.rank, self.scale)

    @property
    def _out(self) -> int:
        return matrix_shape(self.base)[0]

    def merged(self) -> nn.Linear:
        """One float product that computes the same."""
        made = floats(self.base)
        made.weight.data[...] = merged_weight(made.weight.data, self.wide().data, self.A.data)
        return made


def merged_weight(W: np.ndarray, U: np.ndarray, A: np.ndarray) -> np.ndarray:
    """W + U A: what W x + U A x multiplies x by.  W: (out, in), U: (out, r), A: (r, in)."""
    return W + U @ A


def spread(B: Tensor, rows: Sequence[Rows], out: int, rank: int, scale: float) -> Tensor:
    """scale B with the rows of each part in a column of its own: (R, rank) -> (out, P rank).

    rows: of the parts, in `out`; rows of none are zeros.
    """
    ends = np.cumsum([stop - start for start, stop in rows])
    places = [  # in B, in the result
        (slice(end - (stop - start), end),
         (slice(start, stop), slice(i * rank, (i + 1) * rank)))
        for i, ((start, stop), end) in enumerate(zip(rows, ends, strict=True))
    ]
    wide = np.zeros((out, len(rows) * rank), B.dtype)
    for of_B, there in places:
        wide[there] = B.data[of_B] * B.dtype.type(scale)

    def backward(dy: np.ndarray) -> tuple[np.ndarray]:
        dB = np.empty(B.shape, B.dtype)
        for of_B, there in places:
            dB[of_B] = dy[there] * B.dtype.type(scale)
        return (dB,)

    return Tensor(wide, (B,), backward)
