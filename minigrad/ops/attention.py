"""attention, differentiable.  What it means: kernels/numpy_ref/attention.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels import active
from kernels.memory import empty
from kernels.numpy_ref.attention import attention_weights, rotate
from minigrad.ops.dense import dense
from minigrad.tensor import Tensor

__all__ = ["Rotary", "attention", "attention_weights", "rotate", "self_attention"]

Rotary = tuple[np.ndarray, np.ndarray]  # cos, sin, each (positions, R)


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | np.ndarray | None = None,
    *,
    causal: bool = True,
    scale: float | None = None,
    first: np.ndarray | None = None,
    last: np.ndarray | None = None,
    rotary: Rotary | None = None,
) -> Tensor:
    """Scaled dot-product attention, several heads.

    q: (B, Tq, H, D); k, v: (B, Tk, Hkv, D), Hkv dividing H, any strides with a contiguous last
    axis.  causal: query i sees keys j <= i + Tk - Tq.  scale None is 1 / sqrt(D).
    first, last: (B, Tq) integers, query i sees keys first[b, i] <= j < last[b, i] (its document).
    bias: (H, Tq + Tk - 1), added to scores by distance; learned if it is a Tensor.
    rotary: (cos, sin), the tables that turn queries and keys by their positions.
    Returns (B, Tq, H, D).  Saved: q, k, v, y and one number a row; no (T, T) matrix.
    """
    first, last = (None if x is None else np.array(x) for x in (first, last))  # for backward
    Q, K, V = (_readable(t.data) for t in (q, k, v))
    sight = {"first": first, "last": last, **_tables(Q.dtype, bias, rotary)}
    y, lse = active.attention_forward(Q, K, V, causal, scale, **sight)

    def backward(dy: np.ndarray) -> tuple[np.ndarray | None, ...]:
        wants = isinstance(bias, Tensor) and bias.requires_grad
        return active.attention_backward(
            dy, Q, K, V, y, lse, causal, scale, **sight, wants_bias=wants
        )

    return Tensor(y, (q, k, v, *_learned(bias)), backward)


def self_attention(
    qkv: Tensor,
    bias: Tensor | np.ndarray | None = None,
    q_norm: Tensor | None = None,
    k_norm: Tensor | None = None,
    *,
    heads: int,
    kv_heads: int | None = None,
    causal: bool = True,
    scale: float | None = None,
    first: np.ndarray | None = None,
    last: np.ndarray | None = None,
    rotary: Rotary | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Attention of a sequence to itself, heads read in place from one fused projection.

    qkv: (B, T, (H + 2 Hkv) D): queries of all heads, then keys, then values; kv_heads None is H.
    first, last: (B, T) integers; bias: (H, 2 T - 1); rotary: two tables; all as in attention.
    q_norm, k_norm: (D,), weights of an RMS norm over each query's and each key's head, with eps.
    Returns (B, T, H D).  The gradient is written straight into one such array.  Saved: qkv, y, one
    number a head; normed queries and keys, which attention reads twice, beside them.
    """
    kv_heads = kv_heads or heads
    first, last = (None if x is None else np.array(x) for x in (first, last))  # for backward
    if qkv.ndim != 3 or qkv.shape[2] % (heads + 2 * kv_heads):
        raise ValueError(
            f"self_attention: qkv {qkv.shape} must be (B, T, (heads + 2 kv_heads) D) "
            f"with heads={heads}, kv_heads={kv_heads}"
        )
    fused = _readable(qkv.data)
    B, T, _ = fused.shape
    Q, K, V = parts = _heads(fused, heads, kv_heads)
    norms = [None if w is None else dense(w) for w in (q_norm, k_norm)]
    Q, rq = _normed(Q, norms[0], eps)
    K, rk = _normed(K, norms[1], eps)
    sight = {"first": first, "last": last, **_tables(Q.dtype, bias, rotary)}
    y, lse = active.attention_forward(Q, K, V, causal, scale, **sight)

    def backward(dy: np.ndarray) -> tuple[np.ndarray | None, ...]:
        dqkv = empty(fused.shape, fused.dtype)
        into = _heads(dqkv, heads, kv_heads)
        wants = isinstance(bias, Tensor) and bias.requires_grad
        grads = active.attention_backward(
            dy.reshape(y.shape), Q, K, V, y, lse, causal, scale, into, **sight, wants_bias=wants
        )
        weights = [
            _norm_backward(*each)
            for each in zip(into[:2], parts[:2], norms, (rq, rk), strict=True)
        ]
        return dqkv, *weights, *grads[3:]

    return Tensor(y.reshape(B, T, -1), (qkv, q_norm, k_norm, *_learned(bias)), backward)


def _normed(
    x: np.ndarray, weight: np.ndarray | None, eps: float
) -> tuple[np.ndarray, np.ndarray | None]:
    """(heads (B, T, H, D) normed, one number a head); without a weight the heads as they are."""
    if weight is None:
        return x, None
    y, _, rstd = active.rmsnorm_forward(x, weight, None, eps)
    return y, rstd


def _norm_backward(
    dy: np.ndarray, x: np.ndarray, weight: np.ndarray | None, rstd: np.ndarray | None
) -> np.ndarray | None:
    """The weight's gradient; dy, that of the normed heads, becomes that of the heads in place."""
    if weight is None:
        return None
    dx, dweight = active.rmsnorm_backward(dy, x, weight, rstd)
    dy[...] = dx
    return dweight


def _tables(
    dtype: np.dtype[Any], bias: Tensor | np.ndarray | None, rotary: Rotary | None
) -> dict[str, Any]:
    """bias and rotary as a kernel takes them: arrays of the queries' dtype."""
    plain = bias.data if isinstance(bias, Tensor) else bias
    if rotary is not None:
        rotary = (rotary[0].astype(dtype, copy=False), rotary[1].astype(dtype, copy=False))
    return {"bias": plain, "rotary": rotary}


def _learned(bias: Tensor | np.ndarray | None) -> tuple[Tensor, ...]:
    return (bias,) if isinstance(bias, Tensor) and bias.requires_grad else ()


def _heads(fused: np.ndarray, heads: int, kv_heads: int) -> tuple[np.ndarray, ...]:
    """(B, T, (H + 2 Hkv) D) -> views q (B, T, H, D), k and v (B, T, Hkv, D)."""
    B, T, width = fused.shape
    split = fused.reshape(B, T, heads + 2 * kv_heads, width // (heads + 2 * kv_heads))
    return split[:, :, :heads], split[:, :, heads:-kv_heads], split[:, :, -kv_heads:]


def _readable(array: np.ndarray) -> np.ndarray:
    """Kernels take any strides as long as the last axis is contiguous."""
    return array if array.strides[-1] == array.itemsize else array.copy(order="C")
