"""rmsnorm, differentiable.  What it means: kernels/numpy_ref/rmsnorm.py."""

from __future__ import annotations

from kernels import active
from minigrad.ops.dense import dense
from minigrad.tensor import Tensor


def rmsnorm(x: Tensor, weight: Tensor, residual: Tensor | None = None, eps: float = 1e-5):
    """RMS norm over the last axis of s = x + residual.

    x, residual: (..., C), weight: (C,).  Returns y, or (y, s) with a residual: s goes on as the
    residual stream.  Saved: s, and one number a row.
    """
    w = dense(weight)
    r = None if residual is None else dense(residual)
    y, s, rstd = active.rmsnorm_forward(dense(x), w, r, eps)

    def backward(dy, ds=None):
        if dy is None:  # only the residual stream was used
            return ds, None, ds
        dx, dweight = active.rmsnorm_backward(dy, s, w, rstd, ds)
        return dx, dweight, dx

    if residual is None:
        return Tensor(y, (x, weight, None), backward)
    return Tensor.multi((y, s), (x, weight, residual), backward)
