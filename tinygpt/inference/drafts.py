"""Guesses of what a text goes on with, for speculation.py to check: cheap, and allowed to be wrong.

    NgramDraft()             what followed the last few tokens when they stood in the text before
                             (Saxena 2023: prompt lookup); costs a search, no arithmetic
    ModelDraft(small, ...)   what a smaller model with the same tokenizer writes

A guess is one token for each place, never a distribution. The small model draws with the very
random numbers that the large one is about to draw with: where both believe about the same, they
choose the same token, at any temperature.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Protocol

import numpy as np

from tinygpt.errors import UserError
from tinygpt.inference.decoder import Decoder
from tinygpt.inference.sampling import Sampling, sample
from tinygpt.model import LanguageModel

LONGEST, SHORTEST = 4, 2  # tokens that must have stood in the text before
FEW = 8  # tokens that are read one by one sooner than in one pass of the model's own forward


class Draft(Protocol):
    """Something that guesses."""

    name: str

    def guess(self, text: np.ndarray, count: int) -> list[int]:
        """At most `count` ids that may follow `text`, (T,) int64, all that is remembered of it."""


class NgramDraft:
    """The text's own past, the longest match first, the latest of those."""

    name = "n-grams of the text"

    def guess(self, text: np.ndarray, count: int) -> list[int]:
        """As Draft."""
        for n in range(min(LONGEST, len(text) - 1), SHORTEST - 1, -1):
            ends = len(text) - n  # places where n tokens begin, but for the last ones themselves
            same = np.ones(ends, dtype=bool)
            for i in range(n):
                same &= text[i : ends + i] == text[ends + i]
            found = np.flatnonzero(same)
            if len(found):
                after = int(found[-1]) + n
                return [int(token) for token in text[after : after + count]]
        return []


class ModelDraft:
    """A small model, which reads along.

    sampling, rng: those of the text; rng is looked at, not drawn from.
    Raises UserError for a model that works on other ids.
    """

    def __init__(
        self, small: LanguageModel, large: LanguageModel, sampling: Sampling,
        rng: np.random.Generator,
    ):
        if small.shape.vocab_size != large.shape.vocab_size:
            raise UserError(
                f"the draft knows {small.shape.vocab_size} tokens, the model "
                f"{large.shape.vocab_size}. Draft with a model of the same tokenizer."
            )
        self.name = f"a model of {small.shape.parameters:,} weights"
        self._sampling = dataclasses.replace(
            sampling, repetition_penalty=None, frequency_penalty=None, presence_penalty=None
        )
        self._rng, self._decoder = rng, Decoder(small)

    def guess(self, text: np.ndarray, count: int) -> list[int]:
        """As Draft; nothing where the text is longer than this model's context."""
        if len(text) + count > self._decoder.context:
            return []
        logits, rng, found = self._read(text), copy.deepcopy(self._rng), []
        for left in range(count, 0, -1):
            token = sample(logits, self._sampling, rng)
            found.append(int(token[0]))
            if left > 1:
                logits = self._decoder.step(token)
        return found

    def _read(self, text: np.ndarray) -> np.ndarray:
        """Logits after `text`; what was read before stays read as far as it is the same."""
        decoder = self._decoder
        decoder.rewind_to(text[:-1])
        unread = text[decoder.length :]
        if len(unread) > FEW:
            return decoder.feed(unread[None])
        for token in unread:
            logits = decoder.step(np.array([token]))
        return logits
