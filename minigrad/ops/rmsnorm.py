"""rmsnorm, differentiable.  What it means: kernels/numpy_ref/rmsnorm.py."""

from __future__ import annotations

from kernels import active
from minigrad.engine import Gradient
from minigrad.ops.dense import dense
from minigrad.tensor import Tensor


def rmsnorm(x: Tensor, weight: Tensor, eps: float = 1e-5) -> Tensor:
    """RMS norm over the last axis.

    x: (..., C), weight: (C,).  Returns y like x.  Saved: x, and one number a row; of x the layer
    that reads y makes it again.
    """
    w = dense(weight)
    y, s, rstd = active.rmsnorm_forward(dense(x), w, None, eps)
    normed = Tensor(y, (x, weight), lambda dy: active.rmsnorm_backward(dy, s, w, rstd))
    normed.remake = lambda: active.rmsnorm_forward(s, w, None, eps)[0]
    return normed


def add_rmsnorm(
    x: Tensor, residual: Tensor | None, weight: Tensor, eps: float = 1e-5
) -> tuple[Tensor, Tensor]:
    """(rmsnorm(s), s) for s = x + residual, in one pass over memory.

    x, residual: (..., C); s goes on as the residual stream.  Without a residual s is x.
    """
    if residual is None:
        return rmsnorm(x, weight, eps), x
    w = dense(weight)
    y, s, rstd = active.rmsnorm_forward(dense(x), w, dense(residual), eps)

    def backward(dy: Gradient, ds: Gradient) -> tuple[Gradient, ...]:
        if dy is None:  # only the stream was used
            return ds, ds, None
        dx, dweight = active.rmsnorm_backward(dy, s, w, rstd, ds)
        return dx, dx, dweight

    normed, stream = Tensor.multi((y, s), (x, residual, weight), backward)
    normed.remake = lambda: active.rmsnorm_forward(s, w, None, eps)[0]
    return normed, stream
