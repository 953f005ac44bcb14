"""CausalSelfAttention: positions read from the positions before them.

What it computes: kernels/numpy_ref/attention.py.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from minigrad import ops
from minigrad.nn import init
from minigrad.nn.dropout import Dropout
from minigrad.nn.linear import Linear
from minigrad.nn.module import Module
from minigrad.tensor import Tensor


class Cache(Protocol):
    """Remembers keys and values of earlier positions."""

    def append(self, k: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Store k, v (B, T, Hkv, D); return all so far, (B, Tk, Hkv, D)."""


class CausalSelfAttention(Module):
    """Project to queries, keys and values, attend, project back.

    One fused projection makes all three, (B, T, (H + 2 Hkv) D); heads are read in place.
    n_kv_heads: fewer key heads than query heads (grouped queries, Ainslie et al. 2023).
    std: standard deviation of the first projection's initial weights.
    residual_std: of the projection back, which adds to the residual stream.
    dropout: on the output, in training.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        n_kv_heads: int | None = None,
        bias: bool = True,
        dropout: float = 0.0,
        std: float = 0.02,
        residual_std: float = 0.02,
        *,
        rng: init.Random,
    ):
        n_kv_heads = n_kv_heads or n_heads
        if d_model % n_heads or n_heads % n_kv_heads:
            raise ValueError(
                f"CausalSelfAttention: {n_heads} heads must divide the width {d_model} and be a "
                f"multiple of {n_kv_heads} key heads"
            )
        rng = init.generator(rng)
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        self.head_dim = d_model // n_heads
        width = (n_heads + 2 * n_kv_heads) * self.head_dim
        self.qkv = Linear(d_model, width, bias=bias, std=std, rng=rng)
        self.proj = Linear(d_model, d_model, bias=bias, std=residual_std, rng=rng)
        self.dropout = Dropout(dropout, rng)

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        """x: (B, T, C).  Returns (B, T, C).

        cache: for generation: x continues the positions that it holds.
        Raises RuntimeError with a cache outside no_grad(): gradients would not reach the cache.
        """
        qkv = self.qkv(x)
        if cache is None:
            y = ops.self_attention(qkv, heads=self.n_heads, kv_heads=self.n_kv_heads)
        else:
            y = self._continue(qkv, cache)
        return self.dropout(self.proj(y))

    def _continue(self, qkv: Tensor, cache: Cache) -> Tensor:
        if qkv.requires_grad:
            raise RuntimeError("CausalSelfAttention: use a cache under no_grad()")
        B, T, _ = qkv.shape
        H, Hkv = self.n_heads, self.n_kv_heads
        heads = qkv.data.reshape(B, T, H + 2 * Hkv, self.head_dim)
        k, v = cache.append(heads[:, :, H:-Hkv], heads[:, :, -Hkv:])
        y = ops.attention(Tensor(heads[:, :, :H]), Tensor(k), Tensor(v))
        return y.reshape(B, T, -1)
