"""What every language model of the house can do, whatever it is made of.

Training, generation, quantizing and measuring know a model by this class alone: `hidden` makes a
vector of each position, `head` scores a token by it (the next one; an encoder's is the one that
stands there), `make_cache` remembers positions.

Read next: gpt.py (a model), build.py (where one is made).
"""

from __future__ import annotations

import numpy as np

from minigrad import Tensor, nn, ops
from tinygpt.errors import UserError
from tinygpt.model.cache import KVCache
from tinygpt.model.shape import ModelShape


class LanguageModel(nn.Module):
    """Token ids in, a score for each possible token out.

    shape: what it was built from.
    before: positions that an adapter takes in front of every text.
    recompute: keep only the stream between blocks while training and compute each block again in
        backward (Chen et al. 2016): the same gradients to the bit. Measured for a training process:
        0.72 of the peak memory in 1.39 of the time on config M, 0.75 in 1.34 on B.
    """

    shape: ModelShape
    before = 0
    recompute = False

    def hidden(self, ids: np.ndarray, cache: KVCache | None = None) -> Tensor:
        """Everything below the output projection.

        ids: (B, T) int; with a cache they continue the positions that it holds.
        Returns (B, T, C).  Raises ValueError for more positions than the context, of which those
        before T do not count where the shape slides, IndexError for an id outside the vocabulary.
        """
        raise NotImplementedError

    def head(self, x: Tensor) -> Tensor:
        """The output projection alone: (..., C) -> logits (..., V)."""
        raise NotImplementedError

    def head_weight(self) -> Tensor:
        """The output projection's weight, (V, C), for losses that never hold whole logits."""
        raise NotImplementedError

    def make_cache(self, batch: int = 1, kv: str = "float32") -> KVCache:
        """An empty memory for `batch` texts, its numbers kept in `kv` (cache.py).

        Raises UserError for a model that cannot write.
        """
        raise NotImplementedError

    def check_writes(self) -> None:
        """Raise UserError for a model that cannot go on with a text."""

    def vectors(self, ids: np.ndarray, lengths: np.ndarray) -> Tensor:
        """A vector of each token in its whole text, for classifying and for search.

        ids: (B, T) int, of which row b has lengths[b] tokens.  Returns (B, T, C).
        Raises UserError for a model whose tokens do not see what follows them.
        """
        raise UserError(
            f"this model is a {self.shape.assembly}: a token of it knows only what stands before. "
            'Train an encoder (model.family = "bert") to classify or to embed text.'
        )

    def flops_per_token(self) -> int:
        """Floating-point operations of one training token, as the shape counts them."""
        return self.shape.flops_per_token

    def forward(self, ids: np.ndarray, cache: KVCache | None = None) -> Tensor:
        """Logits (B, T, V): row t scores the token that follows position t."""
        return self.head(self.hidden(ids, cache))

    def loss(
        self,
        ids: np.ndarray,
        targets: np.ndarray,
        label_smoothing: float = 0.0,
        ignore_index: int | None = None,
    ) -> Tensor:
        """Mean cross entropy, nats per token.

        ids, targets: (B, T) int, targets[b, t] being what follows ids[b, t].  Returns ().
        ignore_index: a target that does not count (padding).
        """
        x = self.hidden(ids)
        rows = x.reshape(-1, x.shape[-1])  # (B, T, C) -> (B T, C)
        return self.loss_of(rows, targets.reshape(-1), label_smoothing, ignore_index)

    def loss_of(
        self,
        x: Tensor,
        targets: np.ndarray,
        label_smoothing: float = 0.0,
        ignore_index: int | None = None,
    ) -> Tensor:
        """Mean cross entropy of what `hidden` made: x (..., C), targets (...) int.

        The logits of the batch never exist whole (kernels/numpy_ref/linear_cross_entropy.py).
        """
        return ops.linear_cross_entropy(
            x, self.head_weight(), targets, label_smoothing, ignore_index=ignore_index,
            softcap=self.shape.softcap,
        )
