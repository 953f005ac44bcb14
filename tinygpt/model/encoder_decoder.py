"""EncoderDecoder: a text in, another text out, token by token (Vaswani et al. 2017; T5: Raffel et
al. 2020).

    source (B, S) -> encoder: every position sees the whole source           -> memory (B, S, C)
    ids    (B, T) -> decoder: it sees those before it and, across, the memory -> logits (B, T, V)

Both halves are stacks of one block; the decoder's blocks have a third half, which reads the memory.
Whoever has read a source is a language model of what is written about it: `read` returns that
model, and all that trains, decodes or measures language models works on it as it is.

    reading = model.read(source, lengths)
    loss = reading.loss(ids, targets, ignore_index=PADDING)
    for token in generate_batch(reading, start, max_tokens=20): ...

Read first: transformer.py. Read next: ../seq2seq/objective.py, which trains one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from minigrad import Tensor, nn, ops
from tinygpt.errors import UserError
from tinygpt.model.block import Block, make_norm, weight_scales
from tinygpt.model.cache import KVCache, LayerCache
from tinygpt.model.encoder import encoder_block, padded
from tinygpt.model.language_model import LanguageModel
from tinygpt.model.shape import ModelShape
from tinygpt.model.transformer import Memory, Stack


class CrossBlock(Block):
    """A block with a half between its two: cross_norm and cross, attention to a memory."""

    def __init__(self, shape: ModelShape, rng: np.random.Generator | None):
        super().__init__(shape, rng)
        std, residual_std = weight_scales(shape)
        self.cross_norm = make_norm(shape)
        self.cross = nn.CrossAttention(
            shape.d_model, *shape.heads, bias=shape.bias != "none", proj_bias=shape.bias == "all",
            qk_norm=shape.eps if shape.qk_norm else None, dropout=shape.dropout, std=std,
            residual_std=residual_std, rng=rng,
        )

    def forward(
        self,
        branch: Tensor,
        stream: Tensor | None,
        cache: LayerCache | None = None,
        sight: nn.Sight = nn.EVERYTHING,
        keys: Tensor | None = None,
        values: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """As Block's.  keys, values: (B, S, Hkv, D), what `cross.read` makes of the memory."""
        if self.post:
            x, _ = self.norm1.add_norm(self.attention(branch, cache, sight), branch)
            x, _ = self.cross_norm.add_norm(self.cross(x, keys, values, sight.memory), x)
            x, stream = self.norm2.add_norm(self.mlp(x), x)
            return x, stream
        x, stream = self.norm1.add_norm(branch, stream)
        x, stream = self.cross_norm.add_norm(self.attention(x, cache, sight), stream)
        x, stream = self.norm2.add_norm(self.cross(x, keys, values, sight.memory), stream)
        return self.mlp(x), stream


class EncoderDecoder(LanguageModel):
    """An encoder, a decoder that reads what it made, and one table of tokens for both.

    output: (V, C), or None where the token embedding is the output projection too.
    A window limits how far the decoder looks back; the encoder sees all of a source.
    """

    def __init__(self, shape: ModelShape, rng: np.random.Generator | None):
        """As `build` (build.py)."""
        self.shape = shape
        self.token_embedding = nn.Embedding(shape.vocab_size, shape.d_model, rng=rng)
        both_ways = dataclasses.replace(shape, window=None)
        self.encoder = Stack(both_ways, rng, causal=False, make_block=encoder_block)
        self.decoder = Stack(shape, rng, causal=True, make_block=CrossBlock)
        self.output = None
        if not shape.tied:  # a table as well: it neither decays nor is orthogonalised
            self.output = nn.Embedding(shape.vocab_size, shape.d_model, rng=rng)

    def encode(self, source: np.ndarray, lengths: np.ndarray) -> Tensor:
        """The memory (B, S, C) of source ids (B, S), of which each row's first `lengths` count.

        What stands beyond a row's length changes nothing in the rest of its memory.
        Raises ValueError for a source that is empty or longer than the context.
        """
        B, S = source.shape
        if S > self.shape.context:
            raise ValueError(
                f"EncoderDecoder: a source of {S} tokens does not fit the context of "
                f"{self.shape.context}; cut it"
            )
        sight = dataclasses.replace(
            self.encoder.positions.sight(B, 0, S), last=padded(lengths, S).last
        )
        return self.encoder.through(
            self.token_embedding(source), np.arange(S), sight, recomputed=self.recompute
        )

    def read(self, source: np.ndarray, lengths: np.ndarray) -> Reading:
        """The language model of what follows from each source; arguments as encode's."""
        memory = self.encode(source, lengths)
        blocks: list[Any] = self.decoder.layers()  # CrossBlocks
        return Reading(self, [block.cross.read(memory) for block in blocks], lengths)

    def forward(  # type: ignore[override]  # a source comes first
        self, source: np.ndarray, lengths: np.ndarray, ids: np.ndarray
    ) -> Tensor:
        """Logits (B, T, V): row t scores the token that follows ids[:, : t + 1]."""
        return self.read(source, lengths)(ids)

    def head(self, x: Tensor) -> Tensor:
        logits = (self.output or self.token_embedding).attend(x)
        cap = self.shape.softcap
        return logits if cap is None else ops.tanh(logits / cap) * cap

    def head_weight(self) -> Tensor:
        return (self.output or self.token_embedding).weight

    def check_writes(self) -> NoReturn:
        raise UserError(
            "this model turns one text into another: it has to read a source before it writes. "
            "Give it one: tinygpt.open(RUN).translate(TEXT), or tinygpt generate RUN --prompt TEXT."
        )

    def hidden(self, ids: np.ndarray, cache: KVCache | None = None) -> NoReturn:
        self.check_writes()

    def make_cache(self, batch: int = 1, kv: str = "float32") -> NoReturn:
        self.check_writes()


class Reading(LanguageModel):
    """An EncoderDecoder that has read sources, one a row: it scores what is written about them."""

    def __init__(self, model: EncoderDecoder, memory: Sequence[Memory], lengths: np.ndarray):
        self.model, self.shape, self.training = model, model.shape, model.training
        self._memory, self._lengths = memory, lengths

    def hidden(self, ids: np.ndarray, cache: KVCache | None = None) -> Tensor:
        """Of target ids (B, T), row b being about source b; see LanguageModel.hidden."""
        (B, T), start = ids.shape, cache.length if cache is not None else 0
        taken = T if self.shape.slides else start + T
        if taken > self.shape.context:
            raise ValueError(
                f"EncoderDecoder: {taken} positions do not fit the context of "
                f"{self.shape.context} tokens"
            )
        model = self.model
        sight = dataclasses.replace(
            model.decoder.positions.sight(B, start, T), memory=ends(self._lengths, T)
        )
        x = model.decoder.through(
            model.token_embedding(ids), np.arange(start, start + T), sight, cache, self._memory,
            model.recompute,
        )
        if cache is not None:
            cache.advance(T, ids[:, -1])
        return x

    def head(self, x: Tensor) -> Tensor:
        return self.model.head(x)

    def head_weight(self) -> Tensor:
        return self.model.head_weight()

    def make_cache(self, batch: int = 1, kv: str = "float32") -> KVCache:
        return KVCache(self.shape, batch, kv=kv)


def ends(lengths: np.ndarray, queries: int) -> np.ndarray:
    """Where each row's memory ends, for each of its queries: (B,) -> (B, T)."""
    return np.repeat(np.asarray(lengths, np.int64)[:, None], queries, axis=1)
