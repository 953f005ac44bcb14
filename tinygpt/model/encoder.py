"""Encoder: every position sees those before it and those after it.

    ids (B, T) -> embeddings -> L blocks, no causal mask -> (B, T, C)

It reads a text whole and writes none. It learns by having tokens hidden from it and saying which
they were (BERT: Devlin et al. 2019), and its vectors are what a classifier or a search builds on.
The head that names a hidden token is BERT's: a product, the activation, a norm, and the table.

Where rows are shorter than the batch is wide, `padded` hides what follows a row's end; where short
texts share a row, `packed` hides each from the others. Both are two numbers a query, the first key
it sees and the one after the last (minigrad.nn.Sight), so no (T, T) mask exists.

BERT adds a vector for each of two segments. A text here is one segment: that vector would be the
same everywhere, so it is part of the position's.

Read next: build.py.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple, NoReturn

import numpy as np

from minigrad import Tensor, nn, ops
from minigrad.ops.linear import GATED, activate
from tinygpt.errors import UserError
from tinygpt.model.block import Block, make_norm, weight_scales
from tinygpt.model.cache import KVCache
from tinygpt.model.shape import ModelShape
from tinygpt.model.transformer import Transformer

NOT_ASKED = -1  # the target of a position whose token nobody asks for


class Bounds(NamedTuple):
    """first, last: (B, T) int64; query t of row b sees the keys first[b, t] <= j < last[b, t]."""

    first: np.ndarray
    last: np.ndarray


def padded(lengths: np.ndarray, width: int) -> Bounds:
    """Rows of `lengths` (B,) tokens in a batch `width` wide: none sees what follows its end.

    Raises ValueError for a row without tokens or longer than the batch is wide.
    """
    lengths = np.asarray(lengths, np.int64)
    if lengths.size and (lengths.min() < 1 or lengths.max() > width):
        raise ValueError(f"padded: rows of {lengths.min()} to {lengths.max()} tokens in {width}")
    last = np.repeat(lengths[:, None], width, axis=1)  # (B,) -> (B, T)
    return Bounds(np.zeros_like(last), last)


def packed(ids: np.ndarray, opening: int) -> Bounds:
    """Several texts in each row (B, T), each begun by the id `opening`: each sees itself alone.

    What stands before a row's first `opening` is the rest of a text that began outside.
    """
    width = ids.shape[1]
    opens = np.where(ids == opening, np.arange(width), 0)
    first = np.maximum.accumulate(opens, axis=1)
    closes = np.full_like(first, width)  # where the text of each position ends
    closes[:, :-1] = np.where(ids[:, 1:] == opening, np.arange(1, width), width)
    last = np.minimum.accumulate(closes[:, ::-1], axis=1)[:, ::-1]
    return Bounds(first, np.ascontiguousarray(last))


def encoder_block(shape: ModelShape, rng: np.random.Generator | None) -> Block:
    """A layer in which every position sees all."""
    return Block(shape, rng, causal=False)


class Encoder(Transformer):
    """An encoder-only transformer with a head for hidden tokens.

    transform, transform_norm: C -> E before the output projection.
    output_bias: (V,), None without biases.
    """

    def __init__(self, shape: ModelShape, rng: np.random.Generator | None):
        """As `build` (build.py)."""
        super().__init__(shape, rng, causal=False, make_block=encoder_block)
        std, _ = weight_scales(shape)
        biased = shape.bias == "all"
        self.transform = nn.Linear(
            shape.d_model, shape.embedding, bias=biased, std=std, rng=rng
        )
        self.transform_norm = make_norm(shape, shape.embedding)
        self.output_bias = nn.init.zeros((shape.vocab_size,)) if biased else None

    def hidden(
        self, ids: np.ndarray, cache: KVCache | None = None, bounds: Bounds | None = None
    ) -> Tensor:
        """A vector of each position in its text: (B, T) ids -> (B, T, C).

        bounds: what each position sees, of `padded` or `packed`; None: its whole row.  Positions
            are counted from the first it sees, so a packed text is what it is alone.
        Raises ValueError for more positions than the context.
        """
        rows, length = ids.shape
        if cache is not None:
            self.check_writes()
        if length > self.shape.context:
            raise ValueError(
                f"Encoder: {length} positions do not fit the context of {self.shape.context} "
                "tokens; cut the text"
            )
        positions = np.arange(length)
        sight = self.positions.sight(rows, 0, length)
        if bounds is not None:
            sight = dataclasses.replace(sight, first=bounds.first, last=bounds.last)
            positions = positions - bounds.first  # (B, T)
        x = self.token_embedding(ids)
        return self.through(x, positions, sight, recomputed=self.recompute)

    def head(self, x: Tensor) -> Tensor:
        """Scores of the tokens that may stand at each position: (..., C) -> (..., V)."""
        activation = GATED.get(self.shape.activation, self.shape.activation)
        y = self.transform_norm(activate(self.transform(x), activation))
        return self.scores(y, self.output_bias)

    def forward(
        self, ids: np.ndarray, cache: KVCache | None = None, bounds: Bounds | None = None
    ) -> Tensor:
        """Logits (B, T, V): row t scores the token that stands at position t."""
        return self.head(self.hidden(ids, cache, bounds))

    def loss(
        self, ids: np.ndarray, targets: np.ndarray, label_smoothing: float = 0.0,
        ignore_index: int | None = NOT_ASKED, bounds: Bounds | None = None,
    ) -> Tensor:
        """Mean cross entropy of the positions that are asked for, nats per token asked.

        ids: (B, T), hidden tokens replaced; targets: (B, T), NOT_ASKED where nothing is asked.
        The head sees the asked positions only, so its logits are a seventh of a decoder's.
        Raises ValueError if nothing is asked.
        """
        asked = np.flatnonzero(targets.reshape(-1) != ignore_index)
        if not len(asked):
            raise ValueError("Encoder.loss: no position is asked for; every target is NOT_ASKED")
        x = self.hidden(ids, bounds=bounds)
        rows = ops.embedding(x.reshape(-1, x.shape[-1]), asked)  # (B, T, C) -> (asked, C)
        return ops.cross_entropy(self.head(rows), targets.reshape(-1)[asked], label_smoothing)

    def vectors(self, ids: np.ndarray, lengths: np.ndarray) -> Tensor:
        return self.hidden(ids, bounds=padded(lengths, ids.shape[1]))

    def make_cache(self, batch: int = 1, kv: str = "float32") -> NoReturn:
        self.check_writes()

    def check_writes(self) -> NoReturn:
        raise UserError(
            "this model is an encoder: it reads a text whole and does not write on. Use it to "
            "classify or to embed text, or train a decoder (model.assembly = \"decoder\")."
        )
