"""A dense layer and two thin products beside it, as one operation: LoRA's.

    y = act(x) W^T + bias + residual + (act(x) A^T) U^T

As separate operations it is the same function; there backward would make act'(x) twice and add two
gradients as large as x, passes over memory that cost more than the thin products themselves.
Like linear_packed it is not in ops.__all__, for W may be packed.

Source: Hu et al. 2021.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels import active
from kernels.packing import Packed
from minigrad.ops.dense import dense
from minigrad.ops.linear import activated, activated_backward
from minigrad.tensor import Tensor


def linear_lora(
    x: Tensor,
    weight: Tensor | Packed,
    bias: Tensor | None,
    A: Tensor,
    U: Tensor,
    activation: str | None = None,
    residual: Tensor | None = None,
) -> Tensor:
    """act(x) (W + U A)^T + bias + residual, and W + U A is never made.

    x: (..., in), weight: (out, in), constant, float or packed; A: (r, in), U: (out, r); the rest as
    of `linear`.  Returns (..., out).  Saved: x, or nothing if it can be made again, and act(x) A^T,
    r values a row.
    Raises ValueError for a weight that requires a gradient: `linear` is for those.
    """
    if isinstance(weight, Tensor) and weight.requires_grad:
        raise ValueError("linear_lora: the weight must be frozen; call requires_grad_(False) on it")
    u, a, wide = dense(x), dense(A), dense(U)
    b, r = (None if t is None else dense(t) for t in (bias, residual))
    w: Any = weight if isinstance(weight, Packed) else dense(weight)
    thin = active.linear_forward(u, a, None, activation)  # (..., r)
    y = active.linear_forward(thin, wide, None, None, _product(u, w, b, activation, r))
    wants_x, wants_A = x.requires_grad, A.requires_grad
    kept: Any = None
    remake: Any = None
    if wants_A or (wants_x and activation is not None):
        kept, remake = (u, None) if x.remake is None else (None, x.remake)

    def backward(dy: np.ndarray) -> tuple[np.ndarray | None, ...]:
        u = kept if remake is None else remake()
        wants_bias = bias is not None and bias.requires_grad
        dthin, dwide, _ = active.linear_backward(
            dy, thin, wide, None, None, (wants_x or wants_A, U.requires_grad, False)
        )
        dbias = dy.sum(axis=tuple(range(dy.ndim - 1))) if wants_bias else None
        dx = da = None
        if wants_A:
            _, da, _ = active.linear_backward(dthin, u, a, activation, None, (False, True, False))
        if wants_x:
            # d act(x) = dy W + dthin A, the second added while it is made
            dact = active.linear_forward(dthin, np.ascontiguousarray(a.T), None, None, _back(dy, w))
            dx = activated_backward(dact, u, activation)
        return dx, dbias, da, dwide, dy

    return Tensor(y, (x, bias, A, U, residual), backward)


def _product(
    u: np.ndarray, weight: Any, bias: np.ndarray | None, activation: str | None,
    residual: np.ndarray | None,
) -> np.ndarray:
    """act(u) W^T + bias + residual."""
    if isinstance(weight, Packed):
        forward = getattr(active, f"linear_{weight.scheme}_forward")
        return forward(activated(u, activation), weight, bias, residual)
    return active.linear_forward(u, weight, bias, activation, residual)


def _back(dy: np.ndarray, weight: Any) -> np.ndarray:
    """dy W."""
    if isinstance(weight, Packed):
        return active.linear_packed_backward(dy, weight)
    return active.linear_backward(dy, None, weight, None, None, (True, False, False))[0]
