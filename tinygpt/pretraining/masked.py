"""Masked language modelling: hide some tokens of a text and have an encoder name them.

BERT's way (Devlin et al. 2019, 3.1). Of each row 15 % of the tokens are asked for; 80 % of those
stand as <|mask|>, 10 % as another token, 10 % as they are, so that the model cannot trust a token
that it sees and must have a view of every place.

Rows are windows of the running text, as in pretraining. <|endoftext|> stands between texts and so
opens each, as BERT's [CLS] does; texts that share a row do not see each other, and no opening is
ever asked for.

Read next: ../model/encoder.py.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from minigrad import Tensor, no_grad
from minigrad.nn import evaluating
from tinygpt.data import by_frequency, evaluation_batches
from tinygpt.data.baselines import MAX_TOKENS
from tinygpt.data.batches import RandomRows
from tinygpt.model.encoder import NOT_ASKED, Bounds, packed
from tinygpt.pretraining.config import MaskedConfig, MaskingConfig
from tinygpt.pretraining.objective import TextObjective, loader_of
from tinygpt.tokenizer import END_OF_TEXT, MASK, Tokenizer

SAMPLE_TOKENS = 64
SIGN_TOKENS = 20_000  # in which hidden ones are named for `diagnose`
FIXED = zlib.crc32(b"held-out masks")  # seeds the masks of held-out text: the same for ever


class MaskedBatch(NamedTuple):
    """ids: (B, T) int64, some hidden; targets: (B, T), the hidden ones, elsewhere NOT_ASKED."""

    ids: np.ndarray
    targets: np.ndarray
    bounds: Bounds

    @property
    def weight(self) -> int:
        """How many tokens are asked for."""
        return int((self.targets != NOT_ASKED).sum())

    @property
    def tokens(self) -> int:
        """How many were read for that."""
        return self.ids.size


class Masker:
    """Hides tokens.  tokenizer: has <|mask|> and <|endoftext|>.

    ordinary: (n,) ids that stand for text, of which random ones are drawn.
    """

    def __init__(self, tokenizer: Tokenizer, settings: MaskingConfig):
        self.settings = settings
        self.mask = tokenizer.special_id(MASK)
        self.opening = tokenizer.special_id(END_OF_TEXT)
        special = list(tokenizer.special_tokens.values())
        self.ordinary = np.setdiff1d(np.arange(tokenizer.vocab_size), special)

    def __call__(self, ids: np.ndarray, rng: np.random.Generator) -> MaskedBatch:
        """ids: (B, T).  Of each row the settings' share is asked for, rounded, at least one.

        Random numbers are drawn row by row, so that a row's mask does not depend on how many
        rows stand below it.
        """
        share, masked = self.settings.share, self.settings.masked
        ids = np.asarray(ids, np.int64)
        order, kind, other = rng.random((len(ids), 3, ids.shape[1])).transpose(1, 0, 2)
        text = np.isin(ids, self.ordinary)
        order = np.where(text, order, order + 1)  # what is not text comes last
        rank = order.argsort(axis=1).argsort(axis=1)  # (B, T) place of each in its row's lot
        count = np.maximum(1, np.round(share * text.sum(axis=1))).astype(np.int64)
        asked = rank < count[:, None]
        drawn = self.ordinary[(other * len(self.ordinary)).astype(np.int64)]
        shown = np.where(kind < masked + self.settings.random, drawn, ids)
        shown = np.where(kind < masked, self.mask, shown)
        return MaskedBatch(
            np.where(asked, shown, ids), np.where(asked, ids, NOT_ASKED),
            packed(ids, self.opening),
        )


class Masked(TextObjective):
    """An encoder learns to name the tokens that are hidden from it."""

    Config = MaskedConfig
    model_name = "An encoder"
    specials = (END_OF_TEXT, MASK)
    answer = "hidden token"
    loss_unit = "nats per hidden token"
    loss_note = (
        "Loss is the model's surprise at the tokens hidden from it, in nats: lower is better. It "
        "is not comparable with the loss of a model that goes on with a text."
    )
    writes = False

    @property
    def masker(self) -> Masker:
        """Hides tokens as the settings say."""
        return Masker(self.dataset.tokenizer, self.config.masking)

    def batches(self, model: Any, rng: np.random.Generator) -> RandomRows[MaskedBatch]:
        """Random windows with hidden tokens; one random stream decides both."""
        rows: Any = loader_of(self.config, self.dataset, rng)
        windows, masker = rows.windows, self.masker
        rows.make = lambda starts: masker(windows(starts).ids, rng)
        return rows

    def loss(self, model: Any, batch: MaskedBatch) -> tuple[Tensor, dict[str, float]]:
        smoothing = self.config.training.label_smoothing
        return model.loss(
            batch.ids, batch.targets, label_smoothing=smoothing, bounds=batch.bounds
        ), {}

    def held_out(self, limit: int | None = None) -> Iterator[MaskedBatch]:
        """The validation split (or what stands for it) under masks that are always the same."""
        size, context = self.config.training.batch_size, self.config.model.context
        rng, masker = np.random.default_rng(FIXED), self.masker
        for batch in evaluation_batches(self.judges, size, context, limit):
            yield masker(batch.ids, rng)

    def evaluate(self, model: Any, limit: int | None = None) -> float | None:
        """Loss on hidden tokens of the validation split, None if it is shorter than a window."""
        if len(self.dataset.validation) < self.least_held_out:
            return None
        total, count = 0.0, 0
        with evaluating(model):
            for batch in self.held_out(limit):
                loss = model.loss(batch.ids, batch.targets, bounds=batch.bounds)
                total += batch.weight * loss.item()
                count += batch.weight
        return total / count

    def write(self, model: Any, step: int) -> str:
        """A stretch of held-out text, what was hidden in brackets: [guess], or [guess/truth]."""
        data, width = self.dataset, min(SAMPLE_TOKENS, self.config.model.context)
        source = data.validation if len(data.validation) > width else data.train
        rng = np.random.default_rng([self.config.training.seed, step])
        start = int(rng.integers(0, max(1, len(source) - width)))
        batch = self.masker(np.asarray(source[start : start + width])[None], rng)
        return filled_in(model, data.tokenizer, batch)

    def example(self, rng: np.random.Generator) -> MaskedBatch:
        shape, share = self.config.model, self.config.masking.share
        ids = rng.integers(0, shape.vocab_size, (self.config.training.batch_size, shape.context))
        asked = rng.permuted(np.arange(ids.size)).reshape(ids.shape) < max(1, share * ids.size)
        everything = Bounds(np.zeros_like(ids), np.full_like(ids, shape.context))
        return MaskedBatch(ids, np.where(asked, ids, NOT_ASKED), everything)

    def activation_bytes(self) -> int:
        """As a decoder's, and the logits of what is asked for, which exist whole, twice."""
        shape, recipe = self.config.model, self.config.training
        asked = self.config.masking.share * recipe.batch_size * shape.context
        return super().activation_bytes() + int(2 * 4 * asked * shape.vocab_size)

    def rivals(self, model: Any) -> dict[str, float]:
        size, ordinary = self.dataset.vocab_size, self.masker.ordinary
        fit, held = (
            part[np.isin(part, ordinary)]
            for part in (np.asarray(tokens[:MAX_TOKENS]) for tokens in (self.dataset.train,
                                                                        self.judges))
        )
        return {"uniform": math.log(size), "unigram": by_frequency(fit, held, size)}

    def signs(self, model: Any) -> dict[str, float]:
        """And the share of hidden tokens that are named right."""
        right = asked = 0
        with evaluating(model):
            for batch in self.held_out(SIGN_TOKENS):
                wanted = batch.targets != NOT_ASKED
                guesses = model(batch.ids, bounds=batch.bounds).data.argmax(axis=-1)
                right += int((guesses == batch.targets)[wanted].sum())
                asked += batch.weight
        return super().signs(model) | {"right": right / asked}


def filled_in(model: Any, tokenizer: Tokenizer, batch: MaskedBatch) -> str:
    """The first row of a batch as text, [guess] or [guess/truth] where a token was asked for."""
    with evaluating(model), no_grad():
        guesses = model(batch.ids, bounds=batch.bounds).data[0].argmax(axis=-1)
    parts = []
    for shown, truth, guess in zip(batch.ids[0], batch.targets[0], guesses, strict=True):
        if truth == NOT_ASKED:
            parts.append(tokenizer.decode_bytes([shown]))
            continue
        said, right = tokenizer.decode_bytes([guess]), tokenizer.decode_bytes([truth])
        parts.append(b"[" + (said if guess == truth else said + b"/" + right) + b"]")
    return b"".join(parts).decode("utf-8", errors="replace")
