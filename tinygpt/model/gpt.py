"""GPT: token ids in, a score for each possible next token out.

    ids (B, T) -> token + position embedding (B, T, C) -> L blocks -> norm -> logits (B, T, V)

GPT-2's shape (Radford et al. 2019) without biases: pre-norm blocks, learned positions, and an
output projection that is the token embedding itself (tied: Press and Wolf 2017), so a token's row
is both what it means and what predicts it.

Read next: block.py.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from minigrad import Tensor, nn, recompute
from tinygpt.model.block import Block, make_norm
from tinygpt.model.cache import KVCache
from tinygpt.model.language_model import LanguageModel
from tinygpt.model.shape import ModelShape


class GPT(LanguageModel):
    """A decoder-only transformer."""

    def __init__(self, shape: ModelShape, rng: np.random.Generator | None):
        """As `build` (build.py)."""
        self.shape = shape
        if rng is None:  # nothing to draw dropout from
            shape = dataclasses.replace(shape, dropout=0.0)
        self.token_embedding = nn.Embedding(shape.vocab_size, shape.d_model, rng=rng)
        self.position_embedding = nn.Embedding(shape.context, shape.d_model, rng=rng)
        if rng is not None:  # drawn at random, each position has to be learned by itself
            self.position_embedding.weight = nn.init.sinusoids((shape.context, shape.d_model))
        self.dropout = nn.Dropout(shape.dropout, rng=rng)
        self.blocks = nn.ModuleList([Block(shape, rng) for _ in range(shape.n_layers)])
        self.norm = make_norm(shape)

    def hidden(self, ids: np.ndarray, cache: KVCache | None = None) -> Tensor:
        """Embeddings, blocks, norm: (B, T) ids -> (B, T, C); see LanguageModel.hidden."""
        start = cache.length if cache is not None else 0
        end = start + ids.shape[1]
        if end > self.shape.context:
            raise ValueError(
                f"GPT: {end} positions do not fit the context of {self.shape.context} tokens; "
                "feed only the last ones"
            )
        positions = self.position_embedding(np.arange(start, end))  # (T, C), for every row alike
        branch, stream = self.dropout(self.token_embedding(ids) + positions), None
        for i, block in enumerate(self.blocks):
            if cache is not None:
                branch, stream = block(branch, stream, cache.layer(i))
            elif self.recompute:
                branch, stream = recompute(block, branch, stream)
            else:
                branch, stream = block(branch, stream)
        x, _ = self.norm.add_norm(branch, stream)
        if cache is not None:
            cache.advance(ids.shape[1])
        return x

    def head(self, x: Tensor) -> Tensor:
        return self.token_embedding.attend(x)

    def head_weight(self) -> Tensor:
        return self.token_embedding.weight

    def make_cache(self, batch: int = 1) -> KVCache:
        return KVCache(self.shape, batch)

    def flops_per_token(self) -> int:
        """6 N + 12 L C T.

        Source: Chowdhery et al. 2022, appendix B.  N leaves out the positions' table, which is
        read, not multiplied; the causal half of attention is counted in full, as is usual.
        """
        shape = self.shape
        matrices = self.count_parameters() - self.position_embedding.weight.data.size
        return 6 * matrices + 12 * shape.n_layers * shape.d_model * shape.context
