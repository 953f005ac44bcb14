"""Reinforcement learning of a model that answers: it writes, a rule rewards, it learns.

    prompts -> answers (rollouts.py) -> rewards (rewards.py) -> advantages, loss (policy.py) -> step

A rollout happens when a batch is asked for and none is left, with the model as it is by then; the
loop knows nothing of it. All that is to come of a rollout is in the batches' state, so a training
that is killed between two steps on the same answers goes on with those, to the bit.

The reference that the leash is tied to is the base: of a lora the same weights without the adapter,
so that the two together take no more memory than one.

Read first: policy.py, rollouts.py. Read next: best_of_n.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from minigrad import Tensor, nn
from minigrad.nn import evaluating
from tinygpt.adapters import remove
from tinygpt.adapters.count import trained_values
from tinygpt.alignment.config import ReinforcementConfig
from tinygpt.alignment.policy import WHOLE, Experience, PolicyConfig, judged, policy_loss
from tinygpt.alignment.ppo import value_loss
from tinygpt.alignment.preferences import prompt_of, reference_of
from tinygpt.alignment.rewards import Rewards, Written
from tinygpt.alignment.rollouts import Drawn, draw_answers
from tinygpt.alignment.scores import learned, scores_of, token_scores
from tinygpt.finetuning.base import open_base
from tinygpt.finetuning.objective import Finetuning
from tinygpt.finetuning.packing import AnswerBatch, batch_of
from tinygpt.finetuning.rendering import Sample
from tinygpt.inference.answers import Answer, answers
from tinygpt.inference.prompt import end_ids
from tinygpt.inference.templates import prompt_ids
from tinygpt.model import LanguageModel
from tinygpt.runs.checkpoint import Checkpoint
from tinygpt.runs.run import Run
from tinygpt.storage.reading import (
    COUNT,
    NUMBER,
    RANDOM_STATE,
    FormatError,
    check,
    one_of,
    optional,
)
from tinygpt.text.conversations import Conversation
from tinygpt.training.objective import Objective, Say
from tinygpt.training.state import TrainState
from tinygpt.weights.open import check_size

SHOWN = 4  # questions in a sample, answered by chance
LOGGED = ("reward", "kl", "length", "ended", "entropy")


class PolicyBatch(NamedTuple):
    """answers: (S, T), prompts with what was written.  experience: of those S.
    seen: name -> (S,) what there is to report of each."""

    answers: AnswerBatch
    experience: Experience
    seen: dict[str, np.ndarray]
    weight: float

    @property
    def tokens(self) -> int:
        """Read, of prompts and answers."""
        return self.answers.tokens


class Reinforcement(Finetuning):
    """A model that answers learns to be rewarded."""

    Config: ClassVar[type[ReinforcementConfig]] = ReinforcementConfig
    loss_unit = ""
    loss_note = (
        "The loss of a policy gradient is near 0 whatever happens; look at the reward. Held-out "
        "loss is minus the mean reward of the likeliest answers to held-out questions."
    )
    answer = "answer"

    _reference: LanguageModel | None = None

    @classmethod
    def prepare(cls, config: Any, folder: Path, say: Say | None) -> Reinforcement:
        made: Any = super().prepare(config, folder, say)
        made.config = made.config.replace("model", dropout=0.0)
        _ = made.rewards  # a rule that is none is refused before there is a run
        return made

    @classmethod
    def reopen(cls, run: Run, say: Say) -> Reinforcement:
        """With the base, which is the reference, also where a checkpoint has all of the policy."""
        made: Any = super().reopen(run, say)
        if made._base is None:
            made._base, _ = open_base(run.config.base, run.config.method, say)
        return made

    def check(self, saved: Checkpoint) -> None:
        if self.adapts:
            super().check(saved)
        else:
            saved.check_data(self.identity())
            check_size(saved, self.config.model, self._critic)

    @cached_property
    def parameters(self) -> int:
        """Values that training changes, the critic's too."""
        return trained_values(self.config.model, self.config.method) + self._critic

    @property
    def _critic(self) -> int:
        return sum(math.prod(shape) for shape in self.config.heads.values())

    @property
    def policy(self) -> PolicyConfig:
        """How it learns."""
        found: PolicyConfig = self.config.policy
        return found

    @cached_property
    def rewards(self) -> Rewards:
        """What answers are worth."""
        return Rewards(self.policy.rewards, self.config.data.source, self.policy.seconds)

    @cached_property  # every step asks, and there may be many thousand samples
    def longest(self) -> int:
        """Tokens of an answer at most."""
        if self.policy.most is not None:
            return self.policy.most
        written = max((int(s.learned.sum()) for s in self.samples), default=1)
        return min(2 * written, self.config.model.context - 1)

    # Learning.

    def build(self, rng: np.random.Generator | None) -> Any:
        base = self._base
        model: Any = super().build(rng)
        if self.policy.algorithm == "ppo":
            model.critic = nn.Linear(self.config.model.d_model, 1, bias=True, std=0.0, rng=rng)
        if rng is not None and self._data is not None:
            if self.adapts:
                base = nn.shared(model)
                remove(base)
            tokenizer = self.taught.tokenizer
            self._reference = reference_of(self.config, tokenizer, base, None)
        return model

    def batches(self, model: Any, rng: np.random.Generator) -> Rollouts:  # type: ignore[override]
        return Rollouts(self, model, rng)

    def loss(self, model: Any, batch: PolicyBatch) -> tuple[Tensor, dict[str, float]]:
        x, targets = learned(model, batch.answers)
        log_pi = scores_of(model, x, targets, self.policy.temperature)
        loss = policy_loss(self.policy, log_pi, batch.experience, self.longest)
        if self.policy.algorithm == "ppo":
            values = model.critic(x).reshape(-1)  # (R, C) -> (R,)
            errors = value_loss(values, batch.experience.values, batch.experience.returns,
                                self.policy.critic_clip)
            loss = loss + errors.mean() * self.policy.critic
        return loss, {name: float(batch.seen[name].mean()) for name in LOGGED}

    def evaluate(self, model: Any, limit: int | None = None) -> float | None:
        """Minus the mean reward of the likeliest answers to held-out questions."""
        chosen: Sequence[Conversation] = self.data.held_out
        if limit is not None and chosen:
            each = max(1.0, self.data_tokens()[1] / len(chosen))
            chosen = chosen[:: max(1, int(len(chosen) * each // limit))]
        if not chosen:
            return None
        with evaluating(model):
            found = answers(model, *self.taught, [prompt_of(one) for one in chosen],
                            max_tokens=self.longest)
        written = [self._written(one, answer) for one, answer in zip(chosen, found, strict=True)]
        return -float(self.rewards(written, np.random.default_rng(0)).mean())

    def _written(self, asked: Conversation, answer: Answer) -> Written:
        tokens = len(self.taught.tokenizer.encode(answer.text, disallowed_special=()))
        return Written(asked, answer.text, answer.ended, tokens + answer.ended)

    def write(self, model: LanguageModel, step: int) -> str | None:
        """Some held-out questions with answers drawn by chance, and what those are worth."""
        asked = self.data.held_out[:SHOWN]
        if not asked:
            return None
        rng = np.random.default_rng(step)
        drawn = self.draw(model, asked, 1, rng)
        written = [self.read(one, answer) for one, answer in zip(asked, drawn, strict=True)]
        worth = self.rewards(written, rng)
        return "\n".join([str(self.score(model, 32)), *(
            f"{one.prompt[-60:]!r} -> {one.text[:200]!r}  {reward:.2f}"
            for one, reward in zip(written, worth, strict=True)
        )])

    def draw(
        self, model: LanguageModel, asked: Sequence[Conversation], group: int,
        rng: np.random.Generator,
    ) -> list[Drawn]:
        """`group` answers to each conversation's last question, by chance."""
        tokenizer, form = self.taught
        prompts = [np.array(prompt_ids(form, tokenizer, prompt_of(one))) for one in asked]
        return draw_answers(model, prompts, group, end_ids(tokenizer, form), self.longest,
                            self.policy.temperature, rng)

    def read(self, asked: Conversation, drawn: Drawn) -> Written:
        """An answer as text."""
        said = drawn.ids[: len(drawn.ids) - drawn.ended]
        return Written(asked, self.taught.tokenizer.decode(said), drawn.ended, len(drawn.ids))

    def judge(self, state: TrainState, loss: float, norm: float) -> str | None:
        return Objective.judge(self, state, loss, norm)

    def drifting(self, state: TrainState) -> str | None:
        return None

    # Before and after.

    def example(self, rng: np.random.Generator) -> PolicyBatch:  # type: ignore[override]
        batch = super().example(rng)
        count = batch.targets.size
        zeros, ones = np.zeros(count), np.zeros(len(batch.ids))
        counts = np.full(len(batch.ids), batch.ids.shape[1])
        advantages = ones if self.policy.algorithm in WHOLE else zeros
        experience = Experience(counts, zeros, zeros, advantages, zeros, zeros)
        return PolicyBatch(batch, experience, dict.fromkeys(LOGGED, ones), len(counts))

    def notes(self) -> list[str]:
        return [
            f"{len(self.data.train):,} questions to learn from, {len(self.data.held_out):,} held "
            f"out; {self.policy.prompts} of them with {self.policy.group} answers each in a "
            f"rollout, of {self.longest} tokens at most"
        ]

    def rivals(self, model: Any) -> dict[str, float]:
        return {}


class Rollouts:
    """Batches without end, of answers that the model wrote when they were needed."""

    def __init__(self, objective: Reinforcement, model: Any, rng: np.random.Generator):
        self._objective, self._model, self._rng = objective, model, rng
        self._usual: float | None = None
        self._answers: list[dict[str, Any]] = []  # of the rollout at hand, as a checkpoint has them
        self._left: list[list[int]] = []  # numbers of those in each batch that is to come

    def __iter__(self) -> Iterator[PolicyBatch]:
        return self

    def __next__(self) -> PolicyBatch:
        if not self._left:
            before = self._rng.bit_generator.state
            try:
                self._roll_out()
            except BaseException:  # a rule that failed, Ctrl-C: as if it had not begun
                self._rng.bit_generator.state = before
                raise
        return self._batch([self._answers[i] for i in self._left.pop(0)])

    def _roll_out(self) -> None:
        objective, policy, rng = self._objective, self._objective.policy, self._rng
        asked, drawn, rewards = self._drawn()
        rows = self._rows(asked, drawn)
        reference, values = self._seen_by(rows)
        counts = np.array([len(one.ids) for one in drawn])
        log_old = np.concatenate([one.log_pi for one in drawn])
        experience, usual = judged(
            policy, rewards.reshape(-1, policy.group), counts, log_old, reference,
            values, self._usual,
        )
        self._answers = [
            {"prompt": row.ids[: len(row.ids) - n].tolist(), "ids": one.ids.tolist(),
             "reward": float(reward), "ended": bool(one.ended)}
            for row, one, n, reward in zip(rows, drawn, counts, rewards, strict=True)
        ]
        ends = np.cumsum(counts)
        for name, array in experience._asdict().items():
            if name == "counts":
                continue
            parts = np.split(array, ends[:-1] if len(array) == ends[-1] else len(counts))
            for answer, part in zip(self._answers, parts, strict=True):
                answer[name] = part.astype(np.float64).tolist()
        size = objective.config.training.batch_size
        for _ in range(policy.epochs):
            order = rng.permutation(len(drawn)).tolist()
            self._left += [order[at : at + size] for at in range(0, len(order), size)]
        self._usual = usual

    def _drawn(self) -> tuple[list[Conversation], list[Drawn], np.ndarray]:
        """(prompts, answers to them, rewards of those).

        Of several draws only prompts whose answers differ in reward, if there are any.
        """
        objective, policy, rng = self._objective, self._objective.policy, self._rng
        data, group = objective.data.train, policy.group
        asked, drawn, rewards = list[Conversation](), list[Drawn](), np.zeros((0, group))
        for _ in range(policy.draws):
            more = [data[i] for i in rng.integers(0, len(data), policy.prompts)]
            answers = objective.draw(self._model, more, group, rng)
            written = [objective.read(more[i // group], one) for i, one in enumerate(answers)]
            found = objective.rewards(written, rng).reshape(-1, group)
            asked, drawn, rewards = asked + more, drawn + answers, np.concatenate([rewards, found])
            differ = np.flatnonzero(rewards.min(axis=1) < rewards.max(axis=1))
            if len(differ) >= policy.prompts:
                break
        several = policy.draws > 1 and len(differ)
        chosen = (differ if several else np.arange(len(asked)))[: policy.prompts].tolist()
        kept = [one for i in chosen for one in drawn[i * group : (i + 1) * group]]
        return [asked[i] for i in chosen], kept, rewards[chosen].reshape(-1)

    def _rows(self, asked: Sequence[Conversation], drawn: Sequence[Drawn]) -> list[Sample]:
        tokenizer, form = self._objective.taught
        prompts = [prompt_ids(form, tokenizer, prompt_of(one)) for one in asked]
        group, rows = self._objective.policy.group, []
        for i, one in enumerate(drawn):
            rows.append(_sample(prompts[i // group], one.ids))
        return rows

    def _seen_by(self, rows: Sequence[Sample]) -> tuple[np.ndarray, np.ndarray | None]:
        """(log-probabilities by the reference, the critic's values), (R,) each."""
        objective, size = self._objective, self._objective.config.training.batch_size
        reference, values = [], []
        assert objective._reference is not None
        with evaluating(objective._reference), evaluating(self._model):
            for at in range(0, len(rows), size):
                batch = batch_of([[row] for row in rows[at : at + size]])
                temperature = objective.policy.temperature
                reference.append(token_scores(objective._reference, batch, temperature).data)
                if objective.policy.algorithm == "ppo":
                    x, _ = learned(self._model, batch)
                    values.append(self._model.critic(x).data.reshape(-1))
        return np.concatenate(reference), np.concatenate(values) if values else None

    def _batch(self, chosen: Sequence[dict[str, Any]]) -> PolicyBatch:
        rows = [_sample(one["prompt"], one["ids"]) for one in chosen]
        counts = np.array([len(one["ids"]) for one in chosen])
        joined = {
            name: np.array([x for one in chosen for x in one[name]])
            for name in ("log_old", "log_reference", "advantages", "values", "returns")
        }
        experience = Experience(counts, **joined)
        away = joined["log_old"] - joined["log_reference"]
        starts = np.cumsum(counts) - counts
        seen = {
            "reward": np.array([one["reward"] for one in chosen]),
            "kl": np.add.reduceat(away, starts), "length": counts.astype(np.float64),
            "ended": np.array([float(one["ended"]) for one in chosen]),
            "entropy": -np.add.reduceat(joined["log_old"], starts) / counts,
        }
        alike = self._objective.policy.algorithm in ("ppo", "dapo", "expert")  # tokens
        weight = float(counts.sum()) if alike else float(len(chosen))
        return PolicyBatch(batch_of([[row] for row in rows]), experience, seen, weight)

    def state_dict(self) -> dict[str, Any]:
        """The place in the random stream, and what is left of the rollout at hand."""
        return {
            "rng": self._rng.bit_generator.state, "usual": self._usual,
            "answers": self._answers if self._left else [], "left": [*self._left],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where `state_dict` was taken.  Raises FormatError for another state."""
        check(state, STATE)
        if any(i >= len(state["answers"]) for batch in state["left"] for i in batch):
            raise FormatError("names an answer that it has not")
        self._rng.bit_generator.state = state["rng"]
        self._usual, self._answers = state["usual"], state["answers"]
        self._left = [list(batch) for batch in state["left"]]


_NUMBERS = dict.fromkeys(
    ("log_old", "log_reference", "advantages", "values", "returns"), [NUMBER]
)
STATE = {
    "rng": RANDOM_STATE, "usual": optional(NUMBER), "left": [[COUNT]],
    "answers": [{
        "prompt": [COUNT], "ids": [COUNT], "reward": NUMBER, "ended": one_of(True, False),
        **_NUMBERS,
    }],
}


def _sample(prompt: Sequence[int], ids: Any) -> Sample:
    """A prompt and its answer, of which the answer is learned."""
    both = np.array([*prompt, *ids], np.int64)
    return Sample(both, np.arange(len(both)) >= len(prompt))
