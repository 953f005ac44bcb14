"""attention, differentiable.  What it means: kernels/numpy_ref/attention.py."""

from __future__ import annotations

import numpy as np

from kernels import active
from kernels.memory import empty
from minigrad.tensor import Tensor


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    causal: bool = True,
    scale: float | None = None,
    first: np.ndarray | None = None,
) -> Tensor:
    """Scaled dot-product attention, several heads.

    q: (B, Tq, H, D); k, v: (B, Tk, Hkv, D), Hkv dividing H, any strides with a contiguous last
    axis.  causal: query i sees keys j <= i + Tk - Tq.  scale None is 1 / sqrt(D).
    first: (B, Tq) integers, query i sees no key before first[b, i] (where its document begins).
    Returns (B, Tq, H, D).  Saved: q, k, v, y and one number a row; no (T, T) matrix.
    """
    first = None if first is None else np.array(first)  # backward reads it: a copy
    Q, K, V = (_readable(t.data) for t in (q, k, v))
    y, lse = active.attention_forward(Q, K, V, causal, scale, first)

    def backward(dy: np.ndarray) -> tuple[np.ndarray | None, ...]:
        return active.attention_backward(dy, Q, K, V, y, lse, causal, scale, first=first)

    return Tensor(y, (q, k, v), backward)


def self_attention(
    qkv: Tensor,
    heads: int,
    kv_heads: int | None = None,
    causal: bool = True,
    scale: float | None = None,
    first: np.ndarray | None = None,
) -> Tensor:
    """Attention of a sequence to itself, heads read in place from one fused projection.

    qkv: (B, T, (H + 2 Hkv) D): queries of all heads, then keys, then values; kv_heads None is H.
    first: (B, T) integers, as in attention.
    Returns (B, T, H D).  The gradient is written straight into one such array.
    """
    kv_heads = kv_heads or heads
    first = None if first is None else np.array(first)  # backward reads it: a copy
    if qkv.ndim != 3 or qkv.shape[2] % (heads + 2 * kv_heads):
        raise ValueError(
            f"self_attention: qkv {qkv.shape} must be (B, T, (heads + 2 kv_heads) D) "
            f"with heads={heads}, kv_heads={kv_heads}"
        )
    fused = _readable(qkv.data)
    B, T, _ = fused.shape
    Q, K, V = _heads(fused, heads, kv_heads)
    y, lse = active.attention_forward(Q, K, V, causal, scale, first)

    def backward(dy: np.ndarray) -> tuple[np.ndarray | None, ...]:
        dqkv = empty(fused.shape, fused.dtype)
        out = _heads(dqkv, heads, kv_heads)
        active.attention_backward(dy.reshape(y.shape), Q, K, V, y, lse, causal, scale, out, first)
        return (dqkv,)

    return Tensor(y.reshape(B, T, -1), (qkv,), backward)


def _heads(fused: np.ndarray, heads: int, kv_heads: int) -> tuple[np.ndarray, ...]:
    """(B, T, (H + 2 Hkv) D) -> views q (B, T, H, D), k and v (B, T, Hkv, D)."""
    B, T, width = fused.shape
    split = fused.reshape(B, T, heads + 2 * kv_heads, width // (heads + 2 * kv_heads))
    return split[:, :, :heads], split[:, :, heads:-kv_heads], split[:, :, -kv_heads:]


def _readable(array: np.ndarray) -> np.ndarray:
    """Kernels take any strides as long as the last axis is contiguous."""
    return array if array.strides[-1] == array.itemsize else array.copy(order="C")
