"""GPT: token ids in, a score for each possible next token out.

    ids (B, T) -> token + position embedding (B, T, C) -> L blocks -> norm -> logits (B, T, V)

Every decoder of the house is this class; what distinguishes them are the settings of shape.py. The
defaults are GPT-2's shape (Radford et al. 2019) without biases: pre-norm blocks, learned positions,
and an output projection that is the token embedding itself (tied: Press and Wolf 2017), so that a
token's row is both what it means and what predicts it.

Read next: transformer.py, then block.py.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from minigrad import Tensor, nn
from tinygpt.model.cache import KVCache
from tinygpt.model.shape import ModelShape
from tinygpt.model.transformer import Transformer


class GPT(Transformer):
    """A decoder-only transformer.

    prompt: (B, T, C) -> (B, n + T, C), vectors in front of every text (tinygpt/adapters/prompt.py).
    begins: keys and values there, as of KVCache; nothing learns them then.
    """

    prompt: nn.Module | None = None
    begins: tuple[np.ndarray, np.ndarray] | None = None

    def __init__(self, shape: ModelShape, rng: np.random.Generator | None):
        """As `build` (build.py)."""
        super().__init__(shape, rng, causal=True)

    def hidden(
        self, ids: np.ndarray, cache: KVCache | None = None, starts: np.ndarray | None = None
    ) -> Tensor:
        """Embeddings, blocks, norm: (B, T) ids -> (B, T, C); see LanguageModel.hidden.

        starts: (B, T) integers, where in its row the text of each token begins, if rows hold
            several: none sees another, and each has the positions that it would have alone. No
            prompt has a place in such rows.
        """
        if cache is None and self.begins is not None:
            cache = self.make_cache(len(ids))
        start, x = 0 if cache is None else cache.length, self.token_embedding(ids)
        if self.prompt is not None and not start:
            x = self.prompt(x)
        length = x.shape[1]
        taken = length if self.shape.slides else start + length
        if taken > self.shape.context:
            raise ValueError(
                f"GPT: {taken} positions do not fit the context of {self.shape.context} tokens; "
                "feed only the last ones"
            )
        sight = self.positions.sight(len(ids), start, length)
        positions = np.arange(start, start + length)
        if starts is not None:
            seen = starts if sight.first is None else np.maximum(starts, sight.first)
            sight, positions = dataclasses.replace(sight, first=seen), positions - starts
        x = self.through(x, positions, sight, cache, recomputed=self.recompute)
        if cache is not None:
            cache.advance(length)
        return x if length == ids.shape[1] else x[:, length - ids.shape[1] :]

    def head(self, x: Tensor) -> Tensor:
        return self.scores(x)

    def make_cache(self, batch: int = 1) -> KVCache:
        return KVCache(self.shape, batch, self.begins)
