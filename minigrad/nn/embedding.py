"""Embedding: a learned vector for each id.  What it computes: kernels/numpy_ref/embedding.py."""

from __future__ import annotations

from typing import Any

from minigrad import ops
from minigrad.nn import init
from minigrad.nn.module import Module
from minigrad.tensor import Tensor


class Embedding(Module):
    """weight[ids].  weight: (num_embeddings, embedding_dim), N(0, std^2)."""

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        std: float = 0.02,
        *,
        rng: init.Random,
    ):
        self.weight = init.normal((num_embeddings, embedding_dim), std, rng)

    def forward(self, ids: Any) -> Tensor:
        """ids: any shape, integers.  Returns (*ids.shape, embedding_dim)."""
        return ops.embedding(self.weight, ids)

    def attend(self, x: Tensor) -> Tensor:
        """The table as tied output weights: x (..., embedding_dim) -> (..., num_embeddings)."""
        return ops.linear(x, self.weight)
