"""Two objectives that are no pretraining: what the house must carry without knowing them.

Regression learns numbers with a module that is no GPT. Rollouts, a stand-in for reinforcement
learning, lets the model write inside `batches` and learns from what it wrote.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from minigrad import Tensor, nn, ops
from tinygpt.config import OBJECTIVES, Config, TrainingConfig
from tinygpt.inference.generate import generate_batch
from tinygpt.model import ModelShape, build
from tinygpt.training.objective import Objective


class Numbers(NamedTuple):
    """x (B, 3), y (B, 1); every row is an answer."""

    x: np.ndarray
    y: np.ndarray

    @property
    def weight(self):
        return len(self.x)

    tokens = weight


class Endless:
    """draw(rng), again and again; the generator is all there is to remember."""

    def __init__(self, draw, rng):
        self.draw, self.rng = draw, rng

    def __iter__(self):
        return self

    def __next__(self):
        return self.draw(self.rng)

    def state_dict(self):
        return {"rng": self.rng.bit_generator.state}

    def load_state_dict(self, state):
        self.rng.bit_generator.state = state["rng"]


@dataclass(frozen=True)
class RegressionConfig(Config):
    objective: str = "regression"
    base: str | None = None
    training: TrainingConfig = field(default_factory=TrainingConfig)


class Regression(Objective):
    """y = x0 - 2 x1 + 1."""

    Config = RegressionConfig

    def build(self, rng):
        return nn.Sequential(nn.Linear(3, 32, rng=rng), nn.Dropout(0.1 if rng else 0, rng),
                             nn.Linear(32, 1, activation="relu2", rng=rng))

    def batches(self, model, rng):
        return Endless(self.example, rng)

    def example(self, rng):
        x = rng.standard_normal((self.config.training.batch_size, 3)).astype(np.float32)
        return Numbers(x, x[:, :1] - 2 * x[:, 1:2] + 1)

    def loss(self, model, batch):
        error = model(Tensor(batch.x)) - batch.y
        return (error * error).mean(), {"bias": float(error.data.mean())}

    def evaluate(self, model, limit=None):
        with nn.evaluating(model):
            return self.loss(model, self.example(np.random.default_rng(9)))[0].item()


class Answers(NamedTuple):
    """ids (B, T) that the model wrote, and how much better than usual each was."""

    ids: np.ndarray
    advantage: np.ndarray  # (B,)

    @property
    def weight(self):
        return len(self.ids)

    @property
    def tokens(self):
        return self.ids.size


class Rollouts:
    """The model writes PENDING groups of answers; each is learned from once, then it writes anew.

    What it wrote and nobody has learned from yet belongs to the state: those answers come from
    weights that are gone.
    """

    PENDING, LENGTH = 3, 6

    def __init__(self, model, group, rng):
        self.model, self.group, self.rng = model, group, rng
        self.waiting = []

    def __iter__(self):
        return self

    def __next__(self):
        if not self.waiting:
            self.waiting = [self._write() for _ in range(self.PENDING)]
        ids = np.array(self.waiting.pop(0))
        reward = (ids == 1).mean(axis=1)  # known: it likes the token 1
        return Answers(ids, (reward - reward.mean()).astype(np.float32))

    def _write(self):
        start = self.rng.integers(0, self.model.shape.vocab_size, (self.group, 1))
        drawn = list(generate_batch(self.model, start, max_tokens=self.LENGTH, rng=self.rng))
        return np.concatenate([start, np.stack(drawn, axis=1)], axis=1).tolist()

    def state_dict(self):
        return {"rng": self.rng.bit_generator.state, "waiting": self.waiting}

    def load_state_dict(self, state):
        self.rng.bit_generator.state = state["rng"]
        self.waiting = state["waiting"]


@dataclass(frozen=True)
class ReinforceConfig(Config):
    objective: str = "reinforce"
    base: str | None = None
    model: ModelShape = field(default_factory=ModelShape)
    training: TrainingConfig = field(default_factory=TrainingConfig)


class Reinforce(Objective):
    """The policy gradient: -advantage times the log-probability of what was written."""

    Config = ReinforceConfig

    def build(self, rng):
        return build(self.config.model, rng)

    def batches(self, model, rng):
        return Rollouts(model, self.config.training.batch_size, rng)

    def example(self, rng):
        size = (self.config.training.batch_size, Rollouts.LENGTH + 1)
        return Answers(rng.integers(0, 9, size), np.zeros(size[0], np.float32))

    def loss(self, model, batch):
        x = model.hidden(batch.ids[:, :-1])
        log_p = ops.linear_log_probability(x, model.head_weight(), batch.ids[:, 1:])
        return -(log_p * batch.advantage[:, None]).mean(), {
            "liked": float((batch.ids[:, 1:] == 1).mean())
        }

    def evaluate(self, model, limit=None):
        """Share of written tokens that are not the one it should like."""
        start = np.zeros((64, 1), dtype=np.int64)
        rng = np.random.default_rng(5)
        drawn = np.stack(list(generate_batch(model, start, max_tokens=Rollouts.LENGTH, rng=rng)))
        return float((drawn != 1).mean())


OBJECTIVES["regression"] = f"{__name__}:Regression"
OBJECTIVES["reinforce"] = f"{__name__}:Reinforce"
