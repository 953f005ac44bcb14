"""layernorm, differentiable.  What it means: kernels/numpy_ref/layernorm.py."""

from __future__ import annotations

import numpy as np

from kernels import active
from minigrad.engine import Gradient
from minigrad.ops.dense import dense
from minigrad.tensor import Tensor


def layernorm(x: Tensor, weight: Tensor, bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """Layer norm over the last axis.

    x: (..., C), weight, bias: (C,).  Returns y like x.  Saved: x, and two numbers a row; of these
    the layer that reads y makes it again, a pass over memory that is worth 4 bytes a value.
    """
    w = dense(weight)
    b = None if bias is None else dense(bias)
    y, s, mean, rstd = active.layernorm_forward(dense(x), w, b, None, eps)

    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        return active.layernorm_backward(dy, s, w, mean, rstd)

    normed = Tensor(y, (x, weight, bias), backward)
    normed.remake = lambda: active.layernorm_forward(s, w, b, None, eps)[0]
    return normed


def add_layernorm(
    x: Tensor,
    residual: Tensor | None,
    weight: Tensor,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> tuple[Tensor, Tensor]:
    """(layernorm(s), s) for s = x + residual, in one pass over memory.

    x, residual: (..., C); s goes on as the residual stream.  Without a residual s is x.
    """
    if residual is None:
        return layernorm(x, weight, bias, eps), x
    w = dense(weight)
    b = None if bias is None else dense(bias)
    y, s, mean, rstd = active.layernorm_forward(dense(x), w, b, dense(residual), eps)

    def backward(dy: Gradient, ds: Gradient) -> tuple[Gradient, ...]:
        if dy is None:  # only the stream was used
            return ds, ds, None, None
        dx, dweight, dbias = active.layernorm_backward(dy, s, w, mean, rstd, ds)
        return dx, dx, dweight, dbias

    normed, stream = Tensor.multi((y, s), (x, residual, weight, bias), backward)
    normed.remake = lambda: active.layernorm_forward(s, w, b, None, eps)[0]
    return normed, stream
