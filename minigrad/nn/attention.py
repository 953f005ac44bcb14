"""Attention: positions read from the positions before them, from all, or from another sequence.

What it computes: kernels/numpy_ref/attention.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from minigrad import ops
from minigrad.nn import init
from minigrad.nn.dropout import Dropout
from minigrad.nn.linear import Linear
from minigrad.nn.module import Module
from minigrad.nn.rmsnorm import RMSNorm
from minigrad.ops.attention import Rotary, rotate
from minigrad.tensor import Tensor


@dataclass(frozen=True)
class Sight:
    """What decides a score besides query and key; the same for all layers.

    first, last: (B, T) integers, the keys that each query sees; None: from 0, to the last.
    bias: (H, Tq + Tk - 1) by distance.  rotary: (cos, sin), a row for each of the T positions.
    memory: (B, T) integers, where the memory ends that cross attention reads; None: at its end.
    """

    first: np.ndarray | None = None
    last: np.ndarray | None = None
    bias: Tensor | np.ndarray | None = None
    rotary: Rotary | None = None
    memory: np.ndarray | None = None


EVERYTHING = Sight()


class Cache(Protocol):
    """Remembers keys and values of earlier positions."""

    def append(self, k: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Store k, v (B, T, Hkv, D); return all so far, (B, Tk, Hkv, D)."""


class SelfAttention(Module):
    """Project to queries, keys and values, attend, project back.

    One fused projection makes all three, (B, T, (H + 2 Hkv) D); heads are read in place.
    n_kv_heads: fewer key heads than query heads (grouped queries, Ainslie et al. 2023).
    head_dim: size of a head, None for d_model / n_heads.
    causal: positions see those before them only.
    bias: of the first projection; proj_bias: of the projection back, None for as `bias`.
    qk_norm: eps of an RMS norm over each query's and key's head (Henry et al. 2020), None for none.
    std: standard deviation of the first projection's initial weights.
    residual_std: of the projection back, which adds to the residual stream.
    dropout: on the output, in training.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        n_kv_heads: int | None = None,
        head_dim: int | None = None,
        causal: bool = True,
        bias: bool = True,
        proj_bias: bool | None = None,
        qk_norm: float | None = None,
        dropout: float = 0.0,
        std: float = 0.02,
        residual_std: float = 0.02,
        *,
        rng: init.Random,
    ):
        n_kv_heads = n_kv_heads or n_heads
        if (head_dim is None and d_model % n_heads) or n_heads % n_kv_heads:
            raise ValueError(
                f"SelfAttention: {n_heads} heads must divide the width {d_model} and be a "
                f"multiple of {n_kv_heads} key heads"
            )
        rng = init.generator(rng)
        self.n_heads, self.n_kv_heads, self.causal = n_heads, n_kv_heads, causal
        self.head_dim = head_dim or d_model // n_heads
        width = (n_heads + 2 * n_kv_heads) * self.head_dim
        self.qkv = Linear(d_model, width, bias=bias, std=std, rng=rng)
        self.qk_norm = qk_norm
        self.q_norm = RMSNorm(self.head_dim, qk_norm) if qk_norm is not None else None
        self.k_norm = RMSNorm(self.head_dim, qk_norm) if qk_norm is not None else None
        self.proj = Linear(
            n_heads * self.head_dim, d_model, bias=bias if proj_bias is None else proj_bias,
            std=residual_std, rng=rng,
        )
        self.dropout = Dropout(dropout, rng)

    def forward(
        self, x: Tensor, cache: Cache | None = None, sight: Sight = EVERYTHING
    ) -> Tensor:
        """x: (B, T, C).  Returns (B, T, C).

        cache: for generation: x continues the positions that it holds.
        Raises RuntimeError with a cache outside no_grad(): gradients would not reach the cache.
        """
        qkv = self.qkv(x)
        if cache is not None:
            y = self._continue(qkv, cache, sight)
        else:
            y = ops.self_attention(
                qkv, sight.bias, *self._norms(), heads=self.n_heads, kv_heads=self.n_kv_heads,
                causal=self.causal, first=sight.first, last=sight.last, rotary=sight.rotary,
                eps=self.qk_norm or 0.0,
            )
        return self.dropout(self.proj(y))

    def _norms(self) -> tuple[Tensor | None, Tensor | None]:
        """The weights of the norms of queries and keys."""
        if self.q_norm is None or self.k_norm is None:
            return None, None
        return self.q_norm.weight, self.k_norm.weight

    def split(self, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, (H + 2 Hkv) D) -> q (B, T, H, D), k and v (B, T, Hkv, D), q and k normed."""
        B, T, _ = qkv.shape
        H, Hkv = self.n_heads, self.n_kv_heads
        heads = qkv.reshape(B, T, H + 2 * Hkv, self.head_dim)
        q, k, v = heads[:, :, :H], heads[:, :, H:-Hkv], heads[:, :, -Hkv:]
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        return q, k, v

    def _continue(self, qkv: Tensor, cache: Cache, sight: Sight) -> Tensor:
        if qkv.requires_grad:
            raise RuntimeError("SelfAttention: use a cache under no_grad()")
        B, T, _ = qkv.shape
        q, k, v = (part.data for part in self.split(qkv))
        if sight.rotary is not None:  # a key is kept as it stands: turned by its own position
            cos, sin = (table[:, None] for table in sight.rotary)  # (T, 1, R)
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        k, v = cache.append(k, v)
        y = ops.attention(
            Tensor(q), Tensor(k), Tensor(v), sight.bias, causal=self.causal, first=sight.first,
            last=sight.last,
        )
        return y.reshape(B, T, -1)


class CrossAttention(Module):
    """Positions of one sequence read from another: queries from x, keys and values from `memory`.

    Arguments as SelfAttention's.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        n_kv_heads: int | None = None,
        head_dim: int | None = None,
        bias: bool = True,
        proj_bias: bool | None = None,
        qk_norm: float | None = None,
        dropout: float = 0.0,
        std: float = 0.02,
        residual_std: float = 0.02,
        *,
        rng: init.Random,
    ):
        rng = init.generator(rng)
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads or n_heads
        self.head_dim = head_dim or d_model // n_heads
        self.q = Linear(d_model, n_heads * self.head_dim, bias=bias, std=std, rng=rng)
        self.kv = Linear(d_model, 2 * self.n_kv_heads * self.head_dim, bias=bias, std=std, rng=rng)
        self.q_norm = RMSNorm(self.head_dim, qk_norm) if qk_norm is not None else None
        self.k_norm = RMSNorm(self.head_dim, qk_norm) if qk_norm is not None else None
        self.proj = Linear(
            n_heads * self.head_dim, d_model, bias=bias if proj_bias is None else proj_bias,
            std=residual_std, rng=rng,
        )
        self.dropout = Dropout(dropout, rng)

    def read(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, Tk, Hkv, D) of a memory (B, Tk, C): once for all that reads it."""
        B, Tk, _ = memory.shape
        both = self.kv(memory).reshape(B, Tk, 2 * self.n_kv_heads, self.head_dim)
        keys, values = both[:, :, : self.n_kv_heads], both[:, :, self.n_kv_heads :]
        return (keys if self.k_norm is None else self.k_norm(keys)), values

    def forward(
        self, x: Tensor, keys: Tensor, values: Tensor, last: np.ndarray | None = None
    ) -> Tensor:
        """x: (B, Tq, C); keys, values: of `read`; last: (B, Tq), where each row's memory ends."""
        B, Tq, _ = x.shape
        q = self.q(x).reshape(B, Tq, self.n_heads, self.head_dim)
        q = q if self.q_norm is None else self.q_norm(q)
        y = ops.attention(q, keys, values, causal=False, last=last)
        return self.dropout(self.proj(y.reshape(B, Tq, -1)))
