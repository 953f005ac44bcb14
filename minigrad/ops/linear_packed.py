"""linear on a packed weight, differentiable in everything but the weight.

What it means: kernels/numpy_ref/matmul_int8.py and linear_packed.py.  It is not in ops.__all__: a
Packed is no array, so the samplers of minigrad/testing cannot draw it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels import active
from kernels.packing import Packed
from minigrad.ops.dense import dense
from minigrad.ops.linear import activated, activated_backward
from minigrad.tensor import Tensor

__all__ = ["Packed", "linear_packed"]


def linear_packed(
    x: Tensor,
    packed: Packed,
    bias: Tensor | None = None,
    activation: str | None = None,
    residual: Tensor | None = None,
) -> Tensor:
    """activation(x) W^T + bias + residual, W constant, of any scheme.

    x: (..., K), packed: (N, K), bias: (N,), residual: (..., N); activation: None, "gelu",
    "relu2" or "silu".  Saved: nothing, or with an activation x, unless x can be made again.
    """
    u = dense(x)
    b = None if bias is None else dense(bias)
    r = None if residual is None else dense(residual)
    forward = getattr(active, f"linear_{packed.scheme}_forward")
    y = forward(activated(u, activation), packed, b, r)
    wants_x, wants_bias = x.requires_grad, bias is not None and bias.requires_grad
    kept: Any = None
    remake: Any = None
    if wants_x and activation is not None:
        kept, remake = (u, None) if x.remake is None else (None, x.remake)

    def backward(dy: np.ndarray) -> tuple[np.ndarray | None, ...]:
        dx = dbias = None
        if wants_x:
            da = active.linear_packed_backward(dy, packed)
            dx = activated_backward(da, kept if remake is None else remake(), activation)
        if wants_bias:
            dbias = dy.sum(axis=tuple(range(dy.ndim - 1)))
        return dx, dbias, dy

    return Tensor(y, (x, bias, residual), backward)
