"""Learning from pairs of answers: DPO and its relatives, on the loop that trains everything here.

    prompt -> chosen    log pi(chosen)     \\
           -> rejected  log pi(rejected)   -> loss -> a step
                        log pi_ref of both /          once for all pairs, kept in reference.json

The reference is the base as it was, and says the same at every step; so it is asked once, before
training, and is not in the memory any more.

Read first: dpo.py, pairs.py. Read next: reward_model.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from minigrad import Tensor, nn
from minigrad.nn import evaluating
from tinygpt.adapters import MethodConfig, adapt
from tinygpt.alignment.choices import Choices, dealt
from tinygpt.alignment.config import WITHOUT_REFERENCE, AlignmentConfig, PreferencesConfig
from tinygpt.alignment.dpo import dpo
from tinygpt.alignment.ipo import ipo
from tinygpt.alignment.kto import expectation, kto
from tinygpt.alignment.orpo import orpo
from tinygpt.alignment.pairs import PairScores
from tinygpt.alignment.scores import counts_of, sums, token_scores
from tinygpt.alignment.simpo import simpo
from tinygpt.data.batches import RandomRows
from tinygpt.errors import UserError
from tinygpt.finetuning.base import open_base
from tinygpt.finetuning.objective import SHOWN, Finetuning, Taught
from tinygpt.finetuning.packing import AnswerBatch, batch_of, size
from tinygpt.finetuning.rendering import Sample
from tinygpt.inference.answers import answers
from tinygpt.model import LanguageModel
from tinygpt.runs.run import Run
from tinygpt.storage.durable import replace_file
from tinygpt.storage.paths import shown
from tinygpt.storage.reading import NUMBER, FormatError, read_json
from tinygpt.text.conversations import Conversation
from tinygpt.text.files import DataError
from tinygpt.tokenizer import Tokenizer
from tinygpt.training.objective import Objective, Say
from tinygpt.training.state import TrainState

KNOWS_TIES = ("dpo", "ipo")
KEPT = "reference.json"  # in the run's folder: [of the chosen, the rejected, (kto) mismatched]
MISMATCHED = 2  # row of the reference


class PairBatch(NamedTuple):
    """B pairs.

    answers: (2 B, T), the chosen ones first.  reference: (2, B) log-probabilities, summed.
    tie: (B,) bool.
    others: (B, T) answers behind prompts of others, and their reference (B,); None but for kto.
    """

    answers: AnswerBatch
    reference: np.ndarray
    tie: np.ndarray
    others: tuple[AnswerBatch, np.ndarray] | None = None

    @property
    def weight(self) -> int:
        """Pairs."""
        return self.reference.shape[1]

    @property
    def tokens(self) -> int:
        """Of both answers with their prompts."""
        return self.answers.tokens


class Preferences(Finetuning):
    """A model that answers learns which of two answers people choose."""

    Config: ClassVar[type[PreferencesConfig]] = PreferencesConfig
    loss_unit = ""
    loss_note = (
        "Loss says how surprising the choices are to the model (of dpo it begins at ln 2 = 0.693); "
        "chosen and rejected are log-probabilities of the answers, and both may fall."
    )
    answer = "pair"
    Data: ClassVar[Any] = Choices

    reference: np.ndarray | None = None  # (2 or 3, pairs) by the base

    # A run begins, or goes on.

    @classmethod
    def load(cls, config: Any) -> Choices:
        """The pairs, dealt out at random."""
        made = dealt(config)
        loss = config.preference.loss
        if loss not in KNOWS_TIES and any(made.ties):
            raise DataError(
                f"{shown(config.data.source)} has ties, of which {loss} knows nothing. Leave "
                f"them out, or choose one of: {', '.join(KNOWS_TIES)}."
            )
        return made

    @classmethod
    def prepare(cls, config: Any, folder: Path, say: Say | None) -> Preferences:
        made: Any = super().prepare(config, folder, say)
        # The reference answers without dropout, and so does the policy: they begin as one.
        made.config = made.config.replace("model", dropout=0.0)
        made.refer(say)
        return made

    @classmethod
    def reopen(cls, run: Run, say: Say) -> Preferences:
        made: Any = super().reopen(run, say)
        try:
            if made.needs_reference:
                made.reference = np.array(read_json(run.check(KEPT), [[NUMBER]]))
        except FormatError as error:
            raise DataError(
                f"{run.path / KEPT} is damaged: it {error}. Bring it back, or begin another run."
            ) from error
        return made

    def leave(self, folder: Path) -> None:
        super().leave(folder)
        if self.reference is not None:
            replace_file(folder / KEPT, json.dumps(self.reference.tolist()) + "\n")

    @property
    def needs_reference(self) -> bool:
        """Whether the loss looks back at the base."""
        return self.config.preference.loss not in WITHOUT_REFERENCE

    def refer(self, say: Say | None) -> None:
        """Ask the base, which no training has changed yet, for its log-probabilities."""
        if not self.needs_reference:
            return
        if say is not None:
            say("asking the reference")
        base = self._base
        if base is not None and self.config.method.name == "qlora":  # whose base is rounded
            base = nn.shared(base)
            adapt(base, self.config.method, None)
        model = reference_of(self.config, self.taught.tokenizer, base, say)
        self.reference = np.array([self._scored(model, part) for part in self._referred()])

    def _referred(self) -> list[list[Sample]]:
        """What the reference is asked of, a row of `reference` each."""
        parts = [self.samples[0::2], self.samples[1::2]]
        return [*parts, self._mismatched] if self.config.preference.loss == "kto" else parts

    @cached_property
    def _mismatched(self) -> list[Sample]:
        """Each prompt with the chosen answer of the next pair (kto.py)."""
        return mismatched(self.samples[0::2], self.config.model.context)

    def _scored(self, model: LanguageModel, samples: Sequence[Sample]) -> list[float]:
        """Log-probabilities of answers, one after the other."""
        found: list[float] = []
        with evaluating(model):
            for at in range(0, len(samples), self.config.training.batch_size):
                part = samples[at : at + self.config.training.batch_size]
                found += summed(model, batch_of([[one] for one in part])).tolist()
        return found

    def steps_of(self, epochs: float) -> int:
        recipe = self.config.training
        pairs = len(self.data.train) // 2
        return max(1, math.ceil(epochs * pairs / (recipe.batch_size * recipe.accumulation)))

    # Learning.

    def batches(self, model: Any, rng: np.random.Generator) -> RandomRows[PairBatch]:  # type: ignore[override]
        """Pairs drawn uniformly, each time from all."""
        count = len(self.data.train) // 2
        return RandomRows(count, self.config.training.batch_size, rng, self.pairs)

    def pairs(self, chosen: np.ndarray) -> PairBatch:
        """The pairs of these numbers, (B,)."""
        numbers = chosen.tolist()
        rows = [self.samples[2 * i + of] for of in (0, 1) for i in numbers]
        reference, others = np.zeros((2, len(numbers))), None
        if self.reference is not None:
            reference = self.reference[:2, chosen]
        if self.config.preference.loss == "kto":
            assert self.reference is not None
            behind = self._mismatched
            others = (
                batch_of([[behind[i]] for i in numbers]), self.reference[MISMATCHED, chosen]
            )
        tie = np.array(self.data.ties)[chosen]
        return PairBatch(batch_of([[row] for row in rows]), reference, tie, others)

    def loss(self, model: Any, batch: PairBatch) -> tuple[Tensor, dict[str, float]]:
        pairs = scored_pairs(model, batch)
        losses = self._losses(model, pairs, batch)
        if self.config.preference.nll:
            losses = losses - pairs.means[0] * self.config.preference.nll
        margin = pairs.margin.data
        return losses.mean(), {
            "chosen": float(pairs.chosen.data.mean()),
            "rejected": float(pairs.rejected.data.mean()), "margin": float(margin.mean()),
            "agreement": float((margin > 0).mean()),
        }

    def _losses(self, model: Any, pairs: PairScores, batch: PairBatch) -> Tensor:
        """(B,) by the loss that was asked for."""
        how = self.config.preference
        if how.loss == "dpo":
            return dpo(pairs, how.strength, np.where(batch.tie, 0.5, how.smoothing))
        if how.loss == "ipo":
            return ipo(pairs, how.strength, batch.tie)
        if how.loss == "simpo":
            return simpo(pairs, how.strength, how.gamma)
        if how.loss == "orpo":
            return orpo(pairs, how.strength)
        expected = 0.0
        if batch.others is not None:
            others, reference = batch.others
            with evaluating(model):
                expected = expectation(summed(model, others) - reference)
        liked, disliked = (
            kto(gains, np.full(batch.weight, good), expected, how.strength)
            for gains, good in zip(pairs.gains, (True, False), strict=True)
        )
        return (liked + disliked) * 0.5

    def _held(self, limit: int | None) -> Iterator[PairBatch]:
        """The held-out pairs, or about so many tokens of them."""
        first, count = len(self.data.train) // 2, len(self.data.held_out) // 2
        numbers = np.arange(first, first + count)
        if limit is not None and count:
            held = self.samples[2 * first :]
            each = 2 * float(np.mean([size(sample) for sample in held]))
            numbers = numbers[:: max(1, count // max(1, int(limit / each)))]
        for at in range(0, len(numbers), self.config.training.batch_size):
            yield self.pairs(numbers[at : at + self.config.training.batch_size])

    def measured(self, model: Any, limit: int | None = None) -> dict[str, float]:
        """Means over the held-out pairs of loss, chosen, rejected, margin and agreement."""
        total: dict[str, float] = {}
        with evaluating(model):
            for batch in self._held(limit):
                loss, logged = self.loss(model, batch)
                for name, value in {"loss": loss.item(), "pairs": 1.0, **logged}.items():
                    total[name] = total.get(name, 0.0) + batch.weight * value
        return {name: value / total["pairs"] for name, value in total.items()}

    def evaluate(self, model: Any, limit: int | None = None) -> float | None:
        """Mean loss of the held-out pairs, None without any."""
        return self.measured(model, limit).get("loss")

    def write(self, model: LanguageModel, step: int) -> str | None:
        """What it makes of the held-out pairs, and some of its own answers to their prompts."""
        if not self.data.held_out:
            return None
        asked = self.data.held_out[: 2 * SHOWN : 2]
        return "\n".join([self._summary(model), *written(model, self.taught, asked, self.length)])

    def _summary(self, model: Any) -> str:
        found = self.measured(model, self.config.training.eval_tokens)
        return (
            f"the chosen answer preferred in {found['agreement']:.1%} of the held-out pairs; "
            f"log-probability of the chosen {found['chosen']:.2f}, of the rejected "
            f"{found['rejected']:.2f}"
        )

    def judge(self, state: TrainState, loss: float, norm: float) -> str | None:
        return Objective.judge(self, state, loss, norm)

    def drifting(self, state: TrainState) -> str | None:
        return None

    # Before and after.

    def example(self, rng: np.random.Generator) -> PairBatch:  # type: ignore[override]
        count = self.config.training.batch_size
        ids = rng.integers(0, self.config.model.vocab_size, (2 * count, self.length))
        batch = AnswerBatch(ids, ids, np.zeros_like(ids), ids.size)
        return PairBatch(batch, np.zeros((2, count)), np.zeros(count, bool))

    def activation_bytes(self) -> int:
        return 2 * super().activation_bytes()

    def notes(self) -> list[str]:
        train, held = len(self.data.train) // 2, len(self.data.held_out) // 2
        learned = [int(sample.learned.sum()) for sample in self.samples]
        return [
            f"{train:,} pairs to learn from, {held:,} held out; answers of "
            f"{np.mean(learned[0::2]):.0f} tokens chosen, of {np.mean(learned[1::2]):.0f} rejected"
        ]

    def closing(self, model: Any) -> list[str]:
        return [f"{self._summary(model)}."] if self.data.held_out else []

    def rivals(self, model: Any) -> dict[str, float]:
        return {}

    def signs(self, model: Any) -> dict[str, float]:
        found = self.measured(model)
        return {"right": found["agreement"]} if found else {}


def reference_of(
    config: AlignmentConfig, tokenizer: Tokenizer, base: LanguageModel | None, say: Say | None
) -> LanguageModel:
    """The model that the policy is held to.

    base: as it is before training.
    Raises UserError for a reference whose ids mean something else.
    """
    if config.reference is None:
        assert base is not None
        return base
    model, own = open_base(config.reference, MethodConfig("lora"), say)
    if own.to_json() != tokenizer.to_json():
        raise UserError(
            f"reference = {shown(config.reference)} has another tokenizer than the base: the "
            "probabilities of its tokens are not of the same texts. Give a model that was trained "
            "from the same one, or leave the reference out."
        )
    return model


def scored_pairs(model: LanguageModel, batch: PairBatch) -> PairScores:
    """What a loss has to know of a batch."""
    counts, count = counts_of(batch.answers), batch.weight
    whole = sums(token_scores(model, batch.answers), counts)
    return PairScores(
        whole[:count], whole[count:], batch.reference[0], batch.reference[1], counts[:count],
        counts[count:],
    )


def prompt_of(conversation: Conversation) -> list[dict[str, str]]:
    """All but the answer, as models are asked."""
    return [{"role": m.role, "content": m.content} for m in conversation.messages[:-1]]


def written(
    model: LanguageModel, taught: Taught, asked: Sequence[Conversation], length: int
) -> list[str]:
    """What the model answers to the prompts of some conversations: a line each, `length` tokens."""
    with evaluating(model):
        found = answers(model, *taught, [prompt_of(one) for one in asked], max_tokens=length)
    return [f"{one.messages[-2].content[-60:]!r} -> {answer.text[:120]!r}"
            for one, answer in zip(asked, found, strict=True)]


def mismatched(samples: Sequence[Sample], context: int) -> list[Sample]:
    """Each prompt with the answer to the next one, as much of it as there is room for."""
    found = []
    for one, other in zip(samples, [*samples[1:], *samples[:1]], strict=True):
        ids, answer = one.ids[: -int(one.learned.sum())], other.ids[other.learned]
        answer = answer[: context + 1 - len(ids)]
        learned = np.arange(len(ids) + len(answer)) >= len(ids)
        found.append(Sample(np.concatenate([ids, answer]), learned))
    return found


def summed(model: LanguageModel, batch: AnswerBatch) -> np.ndarray:
    """(B,) log-probabilities of a batch's answers."""
    return sums(token_scores(model, batch), counts_of(batch)).data
