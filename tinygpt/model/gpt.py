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

from minigrad import Tensor, nn, ops
from minigrad.ops.decode import NO_TOKEN
from tinygpt.model.cache import KVCache
from tinygpt.model.shape import ModelShape
from tinygpt.model.transformer import Transformer


class Smear(nn.Module):
    """x_t + w x_(t-1), channel by channel: what stood before a token, without attention.

    weight: (C,), begins at 0.  A model of characters so learns pairs of them before any head has
    learned to look back by one.  Source: modded-nanogpt 2025, where a gate decides each token's
    share; here it is the channel's, whatever the token.
    """

    def __init__(self, width: int):
        self.weight = nn.init.zeros((width,))

    def forward(self, x: Tensor, before: Tensor, follows: np.ndarray | None = None) -> Tensor:
        """x: (B, T, C); before: (B, 1, C), the vector before each row's first, zeros for none.

        follows: (B, T) bool, whether a token has one before it in its text; None: as `before` says.
        """
        earlier = ops.concatenate([before, x[:, :-1]], axis=1)
        if follows is not None:
            earlier = earlier * Tensor(follows[..., None].astype(x.dtype))
        return x + earlier * self.weight


def bigram_table(shape: ModelShape) -> nn.Embedding:
    """A vector for each token together with the one before it: ((V + 1) V, C), zeros.

    The pair (a, b) has row (a + 1) V + b: those of a token that begins a text come first.  What two
    letters in a row mean needs no attention and no layer so; it is looked up, and learned as fast
    as pairs occur.  Source: exact where Over-Tokenized (Huang et al. 2025) hashes.
    """
    return nn.Embedding((shape.vocab_size + 1) * shape.vocab_size, shape.d_model, rng=None)


class GPT(Transformer):
    """A decoder-only transformer.

    smear, bigrams: None where the shape has none.
    prompt: (B, T, C) -> (B, n + T, C), vectors in front of every text (tinygpt/adapters/prompt.py).
    begins: keys and values there, as of KVCache; nothing learns them then.
    """

    prompt: nn.Module | None = None
    begins: tuple[np.ndarray, np.ndarray] | None = None

    def __init__(self, shape: ModelShape, rng: np.random.Generator | None):
        """As `build` (build.py)."""
        super().__init__(shape, rng, causal=True)
        self.smear = Smear(shape.d_model) if shape.smear else None
        self.bigrams = bigram_table(shape) if shape.bigrams else None

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
        start = 0 if cache is None else cache.length
        x = self._tokens(ids, None if cache is None else cache.last, starts)
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
            cache.advance(length, ids[:, -1])
        return x if length == ids.shape[1] else x[:, length - ids.shape[1] :]

    def _tokens(
        self, ids: np.ndarray, last: np.ndarray | None, starts: np.ndarray | None
    ) -> Tensor:
        """Vectors (B, T, C) of tokens.  last: (B,), the ids before them."""
        x = self.token_embedding(ids)
        follows = None if starts is None else np.arange(ids.shape[1]) > starts
        if self.smear is not None:
            if last is None:
                before = Tensor(np.zeros((len(ids), 1, x.shape[2]), x.dtype))
            else:
                before = self.token_embedding(last[:, None])
            x = self.smear(x, before, follows)
        if self.bigrams is not None:
            first = np.full(len(ids), NO_TOKEN) if last is None else last
            earlier = np.concatenate([first[:, None], ids[:, :-1]], axis=1)
            if follows is not None:
                earlier = np.where(follows, earlier, NO_TOKEN)
            x = x + self.bigrams((earlier - NO_TOKEN) * self.shape.vocab_size + ids)
        return x

    def head(self, x: Tensor) -> Tensor:
        return self.scores(x)

    def make_cache(self, batch: int = 1, kv: str = "float32") -> KVCache:
        return KVCache(self.shape, batch, self.begins, kv)
