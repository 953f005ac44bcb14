"""A model that remembers: feed it a prompt once, then one token after another.

    logits = decoder.feed(prompt)            # (B, T) ids -> (B, V): scores of what follows
    logits = decoder.step(token)             # (B,) ids   -> (B, V)

`feed` runs the whole prompt through the model in one pass (products of matrices: compute-bound);
`step` reads every weight once for one token (products with a vector: bound by memory).

**Beyond the context.** The model has learned one vector for each of its positions, so what it
remembers cannot slide: a key computed at position 7 holds position 7. When all positions are taken,
`step` forgets everything and feeds the last half of the context again, at positions 0, 1, 2, ...
So each token sees between context/2 and context tokens back, and the price is one prefill of
context/2 tokens for every context/2 tokens written.

**Ctrl-C.** The tokens taken in are the truth, the cache is what was computed from them. A pass that
is cut short takes in nothing; a cache that then differs from the tokens is filled anew by the next.

Read next: kernels/numpy_ref/decode.py, what one step computes.
"""

from __future__ import annotations

import numpy as np

from minigrad.nn import evaluating
from minigrad.ops.decode import decode_step
from tinygpt.errors import UserError
from tinygpt.inference.network import network_of
from tinygpt.model import LanguageModel


class Decoder:
    """A model with its KV cache, for B sequences that advance together."""

    def __init__(self, model: LanguageModel, batch: int = 1):
        self.model = model
        self.context = model.shape.context
        self.cache = model.make_cache(batch)
        self._network = network_of(model)  # None: step by the model's own forward
        self._tokens = np.zeros((batch, 0), dtype=np.int64)  # taken in and not forgotten

    @property
    def length(self) -> int:
        """Positions taken, at most the context."""
        return self._tokens.shape[1]

    def clear(self) -> None:
        """Forget everything."""
        self._tokens = self._tokens[:, :0]
        self.cache.clear()

    def feed(self, ids: np.ndarray) -> np.ndarray:
        """Take in several tokens per sequence.

        ids: (B, T) int, T >= 1.  Returns logits (B, V) float32 after the last one.
        Raises UserError if they do not fit the context, IndexError for an unknown id.
        """
        end = self.length + ids.shape[1]
        if end > self.context:
            raise UserError(
                f"the prompt is {end} tokens long, the model's context {self.context}. "
                f"Shorten it, or keep its last {self.context} tokens."
            )
        return self._take_in(self._tokens, ids)

    def step(self, ids: np.ndarray) -> np.ndarray:
        """Take in one more token per sequence, forgetting the older half of a full context.

        ids: (B,) int.  Returns logits (B, V) float32.
        """
        if self.length == self.context:
            recent = self._tokens[:, self.context - self.context // 2 :]
            self.cache.clear()
            return self._take_in(recent, ids[:, None])
        if self._network is None or self.cache.length != self.length:
            return self.feed(ids[:, None])
        cache, positions = self.cache, np.full(len(ids), self.length)
        logits = decode_step(ids, self._network, cache.keys, cache.values, positions)
        cache.advance(1)
        self._tokens = np.concatenate([self._tokens, ids[:, None]], axis=1)
        return logits

    def _take_in(self, held: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Read `ids`, (B, T), after the tokens `held`, which the cache has all of or is to read."""
        tokens = np.concatenate([held, ids], axis=1)
        if self.cache.length != held.shape[1]:
            self.cache.clear()
        with evaluating(self.model):
            x = self.model.hidden(tokens[:, self.cache.length :], self.cache)
            logits = self.model.head(x[:, -1]).data  # (B, T, C) -> (B, V)
        self._tokens = tokens
        return logits
