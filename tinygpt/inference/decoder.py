"""A model that remembers: feed it a prompt once, then one token after another.

    logits = decoder.feed(prompt)            # (B, T) ids -> (B, V): scores of what follows
    logits = decoder.step(token)             # (B,) ids   -> (B, V)

`feed` runs the whole prompt through the model in one pass (products of matrices: compute-bound);
`step` reads every weight once for one token (products with a vector: bound by memory).

**Beyond the context** there are two ways.

A model that knows positions by their distance (RoPE, ALiBi, relative, none: ModelShape.slides)
*slides*: the newest key overwrites the oldest (model/cache.py), and each token sees the last
`context` ones, itself included, or its window. The logits are those of one pass over the whole text
in which every query sees that many keys, and not those of the last `context` tokens alone: a key of
the second layer was made when its token saw others that are overwritten by now, so that L layers
can hear of L (context - 1) tokens back (Mistral's rolling buffer: Jiang et al. 2023). A step costs
the same for ever.

A model that adds a vector for each position has learned (or has) as many as the context, so what it
remembers cannot slide: a key computed at position 7 holds position 7. When all positions are taken,
`step` forgets everything and feeds the last half of the context again, at positions 0, 1, 2, ...
So each token sees between context/2 and context tokens back, and the price is one prefill of
context/2 tokens for every context/2 tokens written.

What an adapter put in front of every text stays: such a model forgets and does not slide.

**Ctrl-C.** What is taken in is kept in one name, bound anew when a pass is whole: tokens, and a
cache that holds so many of them. A pass works on a cache of its own (`ahead`, sharing the arrays),
so one that is cut short takes in nothing.

Read next: kernels/numpy_ref/decode.py, what one step computes.
"""

from __future__ import annotations

import numpy as np

from minigrad.nn import evaluating
from minigrad.ops.decode import NO_TOKEN, decode_step
from tinygpt.errors import UserError
from tinygpt.inference.network import network_of
from tinygpt.model import KVCache, LanguageModel


class Decoder:
    """A model with its KV cache, for B sequences that advance together.

    kv: what keys and values are kept in (../model/cache.py).
    slides: whether it goes on beyond the context without forgetting all but half of it.
    """

    def __init__(self, model: LanguageModel, batch: int = 1, kv: str = "float32"):
        self.model = model
        self.context = model.shape.context - model.before
        self.slides = model.shape.slides and not model.before
        self._network = network_of(model)  # None: step by the model's own forward
        self._held = (np.zeros((batch, 0), dtype=np.int64), model.make_cache(batch, kv))

    @property
    def cache(self) -> KVCache:
        """Of the tokens taken in."""
        return self._held[1]

    @property
    def length(self) -> int:
        """Tokens taken in and not forgotten, at most the context."""
        return self._held[0].shape[1]

    @property
    def room(self) -> int:
        """Tokens that `feed` takes: up to the context; a text that slides has none too many."""
        return self.context if self.slides else self.context - self.length

    def clear(self) -> None:
        """Forget everything."""
        tokens, cache = self._held
        cache = cache.ahead(0)
        cache.clear()
        self._held = tokens[:, :0], cache

    def feed(self, ids: np.ndarray) -> np.ndarray:
        """Take in several tokens per sequence.

        ids: (B, T) int, T >= 1.  Returns logits (B, V) float32 after the last one.
        Raises UserError for more than `room`, IndexError for an unknown id.
        """
        if ids.shape[1] > self.room:
            end = ids.shape[1] + self.context - self.room
            raise UserError(
                f"the prompt is {end} tokens long, the model's context {self.context}. "
                f"Shorten it, or keep its last {self.context} tokens."
            )
        tokens, cache = self._held
        return self._take_in(tokens, cache.ahead(ids.shape[1]), ids)

    def step(self, ids: np.ndarray) -> np.ndarray:
        """Take in one more token per sequence, whatever of a full context that forgets.

        ids: (B,) int.  Returns logits (B, V) float32.
        """
        tokens, cache = self._held
        cache = cache.ahead(1)
        if self.length == self.context and not self.slides:
            # It overwrites what is held; but after that, cut short or not, come only such steps.
            cache.clear()
            recent = tokens[:, self.context - self.context // 2 :]
            return self._take_in(recent[:, :0], cache, np.concatenate([recent, ids[:, None]], 1))
        unread = cache.length < self.model.before  # a prompt, which a step knows nothing of
        if self._network is None or unread:
            return self._take_in(tokens, cache, ids[:, None])
        positions = np.full(len(ids), cache.length)
        before = np.full(len(ids), NO_TOKEN) if cache.last is None else cache.last
        logits = decode_step(
            ids, self._network, cache.keys, cache.values, positions, before=before
        )
        cache.advance(1, ids)
        self._hold(tokens, cache, ids[:, None])
        return logits

    def rewind_to(self, text: np.ndarray) -> None:
        """Of one sequence, forget what is not how `text`, (T,) ids, begins.

        Everything, where older keys are overwritten already.
        """
        tokens, cache = self._held
        both = min(tokens.shape[1], len(text))
        same = int(np.append(tokens[0, :both] == text[:both], False).argmin())
        if same == tokens.shape[1]:
            return
        if cache.length > self.model.shape.sight:
            self.clear()
            return
        cache = cache.ahead(0)
        cache.length -= tokens.shape[1] - same  # what stands before the text stays
        cache.last = tokens[:, same - 1] if same else None
        self._held = tokens[:, :same], cache

    def _take_in(self, tokens: np.ndarray, cache: KVCache, ids: np.ndarray) -> np.ndarray:
        """Read `ids`, (B, T), after `tokens`, which the cache has."""
        with evaluating(self.model):
            x = self.model.hidden(ids, cache)
            logits = self.model.head(x[:, -1]).data  # (B, T, C) -> (B, V)
        self._hold(tokens, cache, ids)
        return logits

    def _hold(self, tokens: np.ndarray, cache: KVCache, ids: np.ndarray) -> None:
        both = np.concatenate([tokens, ids], axis=1)
        self._held = both[:, -self.context :], cache
