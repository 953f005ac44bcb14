"""A reward model: what people would say of an answer, as a number.

    r(x, y) = w . hidden(x, y)[last token] + b

People who compare two answers do not say r. By Bradley and Terry they choose by the difference, and
the likelihood of their choices is all that is learned from:

    p(w over l) = sigma(r_w - r_l)
    loss = -log sigma(r_w - r_l - margin)            a choice; margin: by how much, where known
         = -1/2 log sigma(h) - 1/2 log sigma(-h)     a tie, h = r_w - r_l

Nothing says where 0 is: any constant, one for each prompt even, leaves every difference what it
was. `centring` pulls r_w + r_l to 0 a little.

The model is any base, under a head of one number; its score is read at the token that ends the
answer, where all has been said. It knows its pairs and nothing else, and a policy that is rewarded
by it goes where it knows least: best_of_n.py.

Source: Bradley and Terry 1952; of language models Stiennon et al. 2020; of margins, Touvron et al.
2023.
Read next: rewards.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from minigrad import Tensor, nn, ops
from minigrad.nn import evaluating
from tinygpt.adapters.count import trained_values
from tinygpt.alignment.choices import Choices, dealt
from tinygpt.alignment.config import RewardConfig
from tinygpt.data.batches import RandomRows, padded_rows
from tinygpt.errors import UserError
from tinygpt.finetuning.objective import Finetuning
from tinygpt.finetuning.packing import size
from tinygpt.finetuning.rendering import Renderer
from tinygpt.model import LanguageModel
from tinygpt.runs.checkpoint import Checkpoint
from tinygpt.runs.run import Run
from tinygpt.storage.paths import shown
from tinygpt.text.conversations import Conversation
from tinygpt.text.files import DataError
from tinygpt.training.objective import Objective, Say
from tinygpt.training.state import TrainState
from tinygpt.weights.open import check_size

BINS = 10  # of a calibration
AT_ONCE = 64  # answers


class RewardModel(nn.Module):
    """Scores of texts.  base: a decoder.  head: C -> 1, zeros."""

    def __init__(self, base: LanguageModel, rng: np.random.Generator | None):
        self.base = base
        self.head = nn.Linear(base.shape.d_model, 1, bias=True, std=0.0, rng=rng)

    def forward(self, ids: np.ndarray, lengths: np.ndarray) -> Tensor:
        """(B,) scores of texts, ids (B, T) of which row b has lengths[b], read at the last."""
        x = self.base.hidden(ids)
        x = x[np.arange(len(ids)), lengths - 1]  # (B, T, C) -> (B, C)
        return self.head(x).reshape(-1)


class Compared(NamedTuple):
    """B pairs: ids (2 B, T), lengths (2 B,), the chosen ones first; tie (B,) bool, margin (B,)."""

    ids: np.ndarray
    lengths: np.ndarray
    tie: np.ndarray
    margin: np.ndarray

    @property
    def weight(self) -> int:
        """Pairs."""
        return len(self.tie)

    @property
    def tokens(self) -> int:
        """Of both answers with their prompts."""
        return int(self.lengths.sum())


def bradley_terry(
    chosen: Tensor, rejected: Tensor, tie: np.ndarray, margin: np.ndarray, centring: float = 0.0
) -> Tensor:
    """(B,) losses of the scores (B,) of pairs."""
    h = chosen - rejected
    by = Tensor(np.asarray(margin, h.dtype))
    even = Tensor(tie.astype(h.dtype))
    choice, draw = ops.softplus(by - h), (ops.softplus(h) + ops.softplus(-h)) * 0.5
    loss = choice * (1 - even) + draw * even
    return loss + ops.square(chosen + rejected) * centring if centring else loss


class RewardTraining(Finetuning):
    """A model learns which of two answers people choose, and says by how much."""

    Config: ClassVar[type[RewardConfig]] = RewardConfig
    loss_unit = "nats per pair"
    loss_note = (
        "Loss is the model's surprise at which answer was chosen: ln 2 = 0.693 for whoever "
        "guesses, lower is better, and where people disagree it does not fall to 0."
    )
    answer = "pair"
    writes = False
    teaches_roles = False
    Data = Choices

    @classmethod
    def load(cls, config: Any) -> Choices:
        return dealt(config)

    @classmethod
    def prepare(cls, config: Any, folder: Path, say: Say | None) -> RewardTraining:
        made: Any = super().prepare(config, folder, say)
        made.config = made.config.replace("model", dropout=0.0)
        return made

    def check(self, saved: Checkpoint) -> None:
        saved.check_data(self.identity())
        if self.adapts:
            super().check(saved)
        else:
            check_size(saved, self.config.model, self._head)

    @cached_property
    def parameters(self) -> int:
        """Values that training changes, the head's too."""
        return trained_values(self.config.model, self.config.method) + self._head

    @property
    def _head(self) -> int:
        return int(self.config.model.d_model) + 1

    def steps_of(self, epochs: float) -> int:
        recipe = self.config.training
        pairs = len(self.data.train) // 2
        return max(1, math.ceil(epochs * pairs / (recipe.batch_size * recipe.accumulation)))

    # Learning.

    def build(self, rng: np.random.Generator | None) -> Any:
        return RewardModel(super().build(rng), rng)

    def batches(self, model: Any, rng: np.random.Generator) -> RandomRows[Compared]:  # type: ignore[override]
        """Pairs drawn uniformly, each time from all."""
        count = len(self.data.train) // 2
        return RandomRows(count, self.config.training.batch_size, rng, self.pairs)

    def pairs(self, chosen: np.ndarray) -> Compared:
        """The pairs of these numbers, (B,)."""
        rows = [self.samples[2 * i + of].ids for of in (0, 1) for i in chosen.tolist()]
        ties, margins = np.array(self.data.ties), np.array(self.data.margins)
        return Compared(*padded_rows(rows, 0), ties[chosen], margins[chosen])

    def loss(self, model: Any, batch: Compared) -> tuple[Tensor, dict[str, float]]:
        scores = model(batch.ids, batch.lengths)
        chosen, rejected = scores[: batch.weight], scores[batch.weight :]
        losses = bradley_terry(
            chosen, rejected, batch.tie, batch.margin, self.config.judging.centring
        )
        h = chosen.data - rejected.data
        return losses.mean(), {
            "agreement": float((h > 0).mean()), "chosen": float(chosen.data.mean()),
            "rejected": float(rejected.data.mean()),
        }

    def differences(self, model: Any, limit: int | None = None) -> np.ndarray:
        """(N,) r_w - r_l of the held-out pairs without ties, or of about so many tokens of them."""
        first = len(self.data.train) // 2
        numbers = np.arange(first, len(self.data.ties))
        numbers = numbers[np.logical_not(self.data.ties)[numbers]]
        if limit is not None and len(numbers):
            each = 2 * float(np.mean([size(s) for s in self.samples[2 * first :]]))
            numbers = numbers[:: max(1, len(numbers) // max(1, int(limit / each)))]
        found = [np.zeros(0)]
        with evaluating(model):
            for at in range(0, len(numbers), AT_ONCE):
                batch = self.pairs(numbers[at : at + AT_ONCE])
                scores = model(batch.ids, batch.lengths).data.astype(np.float64)
                found.append(scores[: batch.weight] - scores[batch.weight :])
        return np.concatenate(found)

    def evaluate(self, model: Any, limit: int | None = None) -> float | None:
        """Mean loss of the held-out choices, None without any."""
        h = self.differences(model, limit)
        return float(np.logaddexp(0, -h).mean()) if len(h) else None

    def write(self, model: Any, step: int) -> str | None:
        """How often it agrees with the held-out choices, and whether it knows how sure it is."""
        h = self.differences(model, self.config.training.eval_tokens)
        return "\n".join([summary(h), *calibration_lines(h)]) if len(h) else None

    def judge(self, state: TrainState, loss: float, norm: float) -> str | None:
        return Objective.judge(self, state, loss, norm)

    def drifting(self, state: TrainState) -> str | None:
        return None

    # Before and after.

    def example(self, rng: np.random.Generator) -> Compared:  # type: ignore[override]
        count = self.config.training.batch_size
        ids = rng.integers(0, self.config.model.vocab_size, (2 * count, self.length))
        lengths = np.full(2 * count, self.length)
        return Compared(ids, lengths, np.zeros(count, bool), np.zeros(count))

    def activation_bytes(self) -> int:
        return 2 * super().activation_bytes()

    def notes(self) -> list[str]:
        train, held = len(self.data.train) // 2, len(self.data.held_out) // 2
        ties = f", {sum(self.data.ties):,} of them ties" if any(self.data.ties) else ""
        return [f"{train:,} pairs to learn from, {held:,} held out{ties}"]

    def closing(self, model: Any) -> list[str]:
        h = self.differences(model)
        return [f"{summary(h)}."] if len(h) else []

    def rivals(self, model: Any) -> dict[str, float]:
        return {"uniform": math.log(2)}

    def signs(self, model: Any) -> dict[str, float]:
        h = self.differences(model)
        return {"right": float((h > 0).mean()), "guessed": 0.5} if len(h) else {}


def interval(right: int, count: int) -> tuple[float, float]:
    """Between what a share probably lies (95 %): Wilson 1927."""
    z = 1.96
    share, spread = right / count, z * z / count
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return middle - half, middle + half


def summary(h: np.ndarray) -> str:
    """Differences (N,) r_w - r_l of choices, in words."""
    right = int((h > 0).sum())
    low, high = interval(right, len(h))
    return (
        f"agrees with {right / len(h):.1%} of {len(h):,} held-out choices ({low:.1%} to "
        f"{high:.1%}), loss {np.logaddexp(0, -h).mean():.4f}"
    )


def calibration(h: np.ndarray) -> list[tuple[float, float, int]]:
    """(how likely it says that its favourite is, how often that is, of how many), by BINS.

    h: (N,) r_w - r_l of choices.
    """
    sure = 1 / (1 + np.exp(-np.abs(h)))  # 0.5 to 1
    place = np.minimum(((sure - 0.5) * 2 * BINS).astype(int), BINS - 1)
    found = []
    for i in range(BINS):
        of = place == i
        if of.any():
            found.append((float(sure[of].mean()), float((h[of] > 0).mean()), int(of.sum())))
    return found


def calibration_lines(h: np.ndarray) -> list[str]:
    """As a picture in text: what it says, and what is."""
    return [
        f"says {said:4.0%}, is {true:4.0%} {'#' * round(30 * true):30}| of {count:,}"
        for said, true, count in calibration(h)
    ]


class Judge:
    """A trained reward model with what it needs to read answers."""

    def __init__(self, model: RewardModel, renderer: Renderer, context: int):
        self.model, self._renderer, self._context = model, renderer, context

    def scores(self, answers: Sequence[tuple[Conversation, str]]) -> np.ndarray:
        """(S,) float64 of answers to the last questions of conversations.

        An empty answer, and one that does not fit the context, is scored as far as it can be read.
        One that cannot be read at all, as a policy's with a role in its midst for a tokenizer of
        letters, is as bad as the worst of the others, 0 without others.
        """
        rows = [self._ids(asked, text) for asked, text in answers]
        readable = np.array([row is not None for row in rows])
        some, parts = [row for row in rows if row is not None], [np.zeros(0)]
        with evaluating(self.model):
            for at in range(0, len(some), AT_ONCE):
                parts.append(self.model(*padded_rows(some[at : at + AT_ONCE], 0)).data)
        found = np.concatenate(parts).astype(np.float64)
        scores = np.full(len(rows), found.min() if len(found) else 0.0)
        scores[readable] = found
        return scores

    def _ids(self, asked: Conversation, text: str) -> np.ndarray | None:
        last = asked.messages[-1]._replace(content=text, learned=True)
        talk = Conversation((*asked.messages[:-1], last), asked.where)
        try:
            return self._renderer.sample(talk).ids[: self._context]
        except DataError:
            return None


def open_reward_model(path: str | Path, say: Say | None = None) -> Judge:
    """The reward model of a run.  Raises UserError for another run."""
    run = Run.open(path)
    if run.config.objective != "reward":
        raise UserError(
            f"{shown(run.path)} is a run of {run.config.objective}, which judges no answers. Give "
            "one of `tinygpt align --method reward`."
        )
    saved = run.find("last", say)
    objective = RewardTraining.reopen(run, say or (lambda text: None))
    objective.check(saved)
    if objective._base is None:
        model: Any = objective.build(None)
        saved.copy_to(model.state_dict())
    else:
        model = objective.build(np.random.default_rng(0))
        saved.copy_to({n: p.data for n, p in model.named_parameters() if p.requires_grad})
    return Judge(model.eval(), Renderer(objective.taught.form, objective.taught.tokenizer),
                 run.config.model.context)
