"""Learning from answers that people rated one by one: KTO as it was meant, without pairs.

    {"prompt": ..., "completion": ..., "label": true}      thumbs up
    log pi(y) - log pi_ref(y), z of answers behind prompts of others -> kto.py -> a step

Thumbs are cheap and uneven: most people press the one far more often than the other. So each kind
weighs as all of the other do, whatever there are of them: n / (2 n_kind) an answer (section 4.1 of
the paper asks for a ratio of 1 to 4/3).

Read first: kto.py, preferences.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np

from minigrad import Tensor
from minigrad.nn import evaluating
from tinygpt.alignment.config import RatingsConfig
from tinygpt.alignment.kto import expectation, kto
from tinygpt.alignment.preferences import Preferences, mismatched, prompt_of, summed, written
from tinygpt.alignment.scores import constant, counts_of, sums, token_scores
from tinygpt.data.batches import RandomRows
from tinygpt.finetuning.objective import SHOWN
from tinygpt.finetuning.packing import AnswerBatch, batch_of, size
from tinygpt.finetuning.rendering import Sample
from tinygpt.model import LanguageModel
from tinygpt.storage.paths import shown
from tinygpt.storage.reading import TEXT, one_of, parse_json
from tinygpt.text.conversations import Conversation, Message
from tinygpt.text.files import DataError
from tinygpt.text.preferences import Rated, read_ratings


class Ratings(NamedTuple):
    """Rated answers to learn from and held out, as conversations.  good: of each, in order."""

    train: list[Conversation]
    held_out: list[Conversation]
    good: list[bool]

    @classmethod
    def of(cls, rated: Sequence[Rated], held_out: int) -> Ratings:
        """held_out: how many of them are, the last ones."""
        all_of, first = [one.answer for one in rated], len(rated) - held_out
        return cls(all_of[:first], all_of[first:], [one.good for one in rated])

    def to_text(self) -> str:
        """As a run keeps them: a JSON object a line."""
        lines = []
        for i, one in enumerate([*self.train, *self.held_out]):
            lines.append(json.dumps({
                "prompt": prompt_of(one), "completion": one.messages[-1].content,
                "label": self.good[i], "where": one.where, "held_out": i >= len(self.train),
            }, ensure_ascii=False) + "\n")
        return "".join(lines)

    @classmethod
    def from_text(cls, text: str) -> Ratings:
        """What `to_text` wrote.  Raises FormatError."""
        rated, held_out = [], 0
        for line in filter(None, text.split("\n")):
            values = parse_json(line, LINE)
            before = tuple(Message(**m, learned=False) for m in values["prompt"])
            answer = Message("assistant", values["completion"])
            rated.append(Rated(Conversation((*before, answer), values["where"]), values["label"]))
            held_out += values["held_out"]
        return cls.of(rated, held_out)


LINE = {
    "prompt": [{"role": TEXT, "content": TEXT}], "completion": TEXT,
    "label": one_of(True, False), "where": TEXT, "held_out": one_of(True, False),
}


class RatedBatch(NamedTuple):
    """answers: (B, T).  reference: (B,) log-probabilities, summed.  good: (B,) bool.
    others: (B, T) answers behind prompts of others, with their reference (B,)."""

    answers: AnswerBatch
    reference: np.ndarray
    good: np.ndarray
    others: tuple[AnswerBatch, np.ndarray]

    @property
    def weight(self) -> int:
        """Answers."""
        return len(self.good)

    @property
    def tokens(self) -> int:
        """Of the answers with their prompts."""
        return self.answers.tokens


class RatedAnswers(Preferences):
    """A model that answers learns which of its answers people like."""

    Config: ClassVar[type[RatingsConfig]] = RatingsConfig  # type: ignore[assignment]
    loss_note = (
        "Loss is 1/2 at first, and lower the likelier good answers and the less likely bad ones "
        "have become, against what the model makes of answers to something else."
    )
    answer = "answer"
    Data = Ratings

    # A run begins.

    @classmethod
    def load(cls, config: Any) -> Ratings:  # type: ignore[override]
        """The rated answers, dealt out at random."""
        if not config.data.source:
            raise DataError("there are no rated answers. Name a file with --data or data.source.")
        found = read_ratings(config.data.source)
        count = round(config.data.held_out * len(found))
        order = np.random.default_rng(config.training.seed).permutation(len(found)).tolist()
        made = Ratings.of([found[i] for i in [*order[count:], *order[:count]]], count)
        good = sum(made.good[: len(made.train)])
        if not 0 < good < len(made.train):
            raise DataError(
                f"of the {len(made.train)} rated answers of {shown(config.data.source)} that are "
                f"to be learned from {good} are good: there is nothing to tell apart. Give good "
                "and bad ones, or more of them."
            )
        return made

    def _referred(self) -> list[list[Sample]]:
        return [self.samples, self._mismatched]

    @cached_property
    def _mismatched(self) -> list[Sample]:
        return mismatched(self.samples, self.config.model.context)

    @cached_property
    def _weights(self) -> tuple[float, float]:
        """(of a good answer, of a bad one)."""
        count = len(self.data.train)
        good = sum(self.data.good[:count])
        return count / (2 * good), count / (2 * (count - good))

    def steps_of(self, epochs: float) -> int:
        recipe = self.config.training
        return max(1, math.ceil(
            epochs * len(self.data.train) / (recipe.batch_size * recipe.accumulation)
        ))

    # Learning.

    def batches(self, model: Any, rng: np.random.Generator) -> RandomRows[RatedBatch]:  # type: ignore[override]
        """Rated answers drawn uniformly, each time from all."""
        count = len(self.data.train)
        return RandomRows(count, self.config.training.batch_size, rng, self.rated)

    def rated(self, chosen: np.ndarray) -> RatedBatch:
        """The answers of these numbers, (B,)."""
        assert self.reference is not None
        numbers, behind = chosen.tolist(), self._mismatched
        answer, other = (
            batch_of([[samples[i]] for i in numbers]) for samples in (self.samples, behind)
        )
        good = np.array(self.data.good)[chosen]
        return RatedBatch(
            answer, self.reference[0, chosen], good, (other, self.reference[1, chosen])
        )

    def loss(self, model: Any, batch: RatedBatch) -> tuple[Tensor, dict[str, float]]:  # type: ignore[override]
        others, reference = batch.others
        with evaluating(model):
            expected = expectation(summed(model, others) - reference)
        whole = sums(token_scores(model, batch.answers), counts_of(batch.answers))
        gains = whole - constant(batch.reference, whole)
        losses = kto(gains, batch.good, expected, self.config.preference.strength, *self._weights)
        right = np.where(batch.good, gains.data > expected, gains.data < expected)
        signed = np.where(batch.good, gains.data, -gains.data)
        return losses.mean(), {
            "gain": float(signed.mean()), "expected": expected, "agreement": float(right.mean()),
        }

    def _held(self, limit: int | None) -> Iterator[RatedBatch]:  # type: ignore[override]
        """The held-out answers, or about so many tokens of them."""
        first = len(self.data.train)
        numbers = np.arange(first, len(self.samples))
        if limit is not None and len(numbers):
            each = float(np.mean([size(sample) for sample in self.samples[first:]]))
            numbers = numbers[:: max(1, len(numbers) // max(1, int(limit / each)))]
        for at in range(0, len(numbers), self.config.training.batch_size):
            yield self.rated(numbers[at : at + self.config.training.batch_size])

    def write(self, model: LanguageModel, step: int) -> str | None:
        """What it makes of the held-out answers, and some of its own to their prompts."""
        asked = self.data.held_out[:SHOWN]
        if not asked:
            return None
        return "\n".join([self._summary(model), *written(model, self.taught, asked, self.length)])

    def _summary(self, model: Any) -> str:
        found = self.measured(model, self.config.training.eval_tokens)
        return (
            f"{found['agreement']:.1%} of the held-out answers moved the way they were rated, by "
            f"{found['gain']:.2f} nats"
        )

    # Before and after.

    def example(self, rng: np.random.Generator) -> RatedBatch:  # type: ignore[override]
        count = self.config.training.batch_size
        ids = rng.integers(0, self.config.model.vocab_size, (count, self.length))
        batch = AnswerBatch(ids, ids, np.zeros_like(ids), ids.size)
        return RatedBatch(batch, np.zeros(count), np.arange(count) % 2 == 0,
                          (batch, np.zeros(count)))

    def notes(self) -> list[str]:
        good = sum(self.data.good[: len(self.data.train)])
        return [
            f"{len(self.data.train):,} rated answers to learn from, {good:,} of them good; "
            f"{len(self.data.held_out):,} held out"
        ]
