"""layernorm, differentiable.  What it means: kernels/numpy_ref/layernorm.py."""

from __future__ import annotations

from kernels import active
from minigrad.ops.dense import dense
from minigrad.tensor import Tensor


def layernorm(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    residual: Tensor | None = None,
    eps: float = 1e-5,
):
    """Layer norm over the last axis of s = x + residual.

    x, residual: (..., C), weight, bias: (C,).  Returns y, or (y, s) with a residual: s goes on
    as the residual stream.  Saved: s, and two numbers a row.
    """
    w = dense(weight)
    b = None if bias is None else dense(bias)
    r = None if residual is None else dense(residual)
    y, s, mean, rstd = active.layernorm_forward(dense(x), w, b, r, eps)

    def backward(dy, ds=None):
        if dy is None:  # only the residual stream was used
            return ds, None, None, ds
        dx, dweight, dbias = active.layernorm_backward(dy, s, w, mean, rstd, ds)
        return dx, dweight, dbias, dx

    if residual is None:
        return Tensor(y, (x, weight, bias, None), backward)
    return Tensor.multi((y, s), (x, weight, bias, residual), backward)
