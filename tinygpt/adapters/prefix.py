"""Prefix tuning: keys and values in front of every text, learned, a set for each layer.

    attention(q, [prefix keys; keys], [prefix values; values])

What a prompt does to a model it does through the keys and values of its tokens; here these are
learned themselves. The text stands behind the prefix: its first token is at position n, and there
is room for so many tokens less.

A prefix key is kept as it is met, turned by no position (RoPE turns the text's alone). A packed row
of several texts cannot be had: what a query sees is one stretch of keys, and for the second text
that does not reach back to the prefix.

Source: Li and Liang 2021.
Read next: prompt.py.
"""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import numpy as np

from minigrad import Tensor, nn, ops
from minigrad.nn.attention import Cache
from minigrad.ops.attention import rotate
from tinygpt.errors import UserError
from tinygpt.model import GPT
from tinygpt.model.positions import Positions


class PrefixAttention(nn.Module):
    """Attention that also reads n learned keys and values.

    base: the frozen attention.  keys, values: (n, Hkv, D), N(0, 0.02^2).
    """

    def __init__(self, base: nn.SelfAttention, tokens: int, rng: np.random.Generator | None):
        self.base = base
        shape = (tokens, base.n_kv_heads, base.head_dim)
        self.keys, self.values = (nn.init.normal(shape, 0.02, rng) for _ in range(2))

    def forward(
        self, x: Tensor, cache: Cache | None = None, sight: nn.Sight = nn.EVERYTHING
    ) -> Tensor:
        """As SelfAttention's; sight: of Behind.  Raises UserError for packed texts or a window."""
        if sight.last is not None or (sight.first is not None and sight.first.any()):
            raise UserError(
                "a prefix stands before one text a row, and here a row is packed, padded or seen "
                "through a window. Set packing off, or choose another method."
            )
        base, B, T = self.base, x.shape[0], x.shape[1]
        q, k, v = base.split(base.qkv(x))
        rotary = sight.rotary
        if cache is not None:  # it holds the text's alone, turned already
            if rotary is not None:
                cos, sin = (table[:, None] for table in rotary)
                q, k = (Tensor(rotate(part.data, cos, sin)) for part in (q, k))
            k, v = (Tensor(part) for part in cache.append(k.data, v.data))
            rotary = None
        elif rotary is not None:  # the prefix is turned by nothing
            n, pairs = len(self.keys.data), rotary[0].shape[1]
            still = np.ones((n, pairs), np.float32), np.zeros((n, pairs), np.float32)
            rotary = tuple(np.concatenate(pair) for pair in zip(still, rotary, strict=True))  # type: ignore[assignment]
        k, v = (
            ops.concatenate([ops.broadcast_to(own, (B, *own.shape)), part], axis=1)
            for own, part in ((self.keys, k), (self.values, v))
        )
        y = ops.attention(q, k, v, sight.bias, causal=base.causal, rotary=rotary)
        return base.dropout(base.proj(y.reshape(B, T, -1)))


def as_cache(decoder: GPT) -> None:
    """Make of a learned prefix what every cache begins with, in place: no module of it is left.

    The text's keys follow at the positions that they had behind the prefix. Nothing learns it then.
    """
    layers = [cast(PrefixAttention, block.attention) for block in decoder.layers()]
    keys, values = [layer.keys.data for layer in layers], [layer.values.data for layer in layers]
    decoder.begins = np.stack(keys), np.stack(values)
    nn.replace_modules(
        decoder,
        lambda _, module: isinstance(module, PrefixAttention | Behind | LaterPositions),
        lambda module: module.base,  # type: ignore[attr-defined]
    )


class Behind(nn.Module):
    """A model's positions, n further on: in the place of Positions."""

    def __init__(self, base: Positions, tokens: int):
        self.base, self.tokens = base, tokens

    def sight(self, rows: int, start: int, length: int) -> nn.Sight:
        """As Positions.sight; what is added to scores covers the prefix's keys too."""
        base, n = self.base, self.tokens
        kept = min(start, base.shape.sight)
        seen = base.sight(rows, start, length)
        return dataclasses.replace(
            seen, bias=base.bias(np.arange(1 - length, n + kept + length)),
            rotary=base.tables(n + start, n + start + length),
        )

    @property
    def sinusoids(self) -> np.ndarray | None:
        """As of Positions."""
        table = self.base.sinusoids
        return None if table is None else table[self.tokens :]


class LaterPositions(nn.Module):
    """A learned table of positions, read n rows further down."""

    def __init__(self, base: Any, tokens: int):
        self.base, self.tokens, self.rows = base, tokens, len(base.weight.data)

    def forward(self, positions: np.ndarray) -> Tensor:
        """As Embedding's.  Raises ValueError for positions beyond the table."""
        if len(positions) and positions.max() + self.tokens >= self.rows:
            raise ValueError(
                f"GPT: {positions.max() + 1} positions behind a prefix of {self.tokens} do not fit "
                f"the context of {self.rows} tokens; feed only the last ones"
            )
        found: Tensor = self.base(positions + self.tokens)
        return found
