"""Prompt tuning: vectors in front of every text, where tokens' vectors would be.

    model([p_1 ... p_n; embedding(ids)])

A prompt that need not be made of words. It is the smallest of all: n C numbers; and it takes n
positions of the context, of the time and of the cache.

Source: Lester et al. 2021, who also found that it begins best as the vectors of some tokens.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import Tensor, nn, ops


class Prompt(nn.Module):
    """vectors: (n, C), at first those of n tokens drawn at random.

    table: the tokens' vectors.  rng None: zeros, to be loaded.
    """

    def __init__(self, table: Any, shape: tuple[int, int], rng: np.random.Generator | None):
        """shape: (n, C)."""
        self.vectors = nn.init.zeros(shape)
        if rng is not None:
            V = table.packed.shape[0] if hasattr(table, "packed") else len(table.weight.data)
            self.vectors.data[...] = table(rng.integers(0, V, shape[0])).data

    def forward(self, x: Tensor) -> Tensor:
        """Token vectors (B, T, C) -> (B, n + T, C)."""
        before = ops.broadcast_to(self.vectors, (x.shape[0], *self.vectors.shape))
        return ops.concatenate([before, x], axis=1)
