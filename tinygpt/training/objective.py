"""What is learned: the one thing in which a stage of a model's life differs from another.

Pretraining, fine-tuning and learning from preferences are objectives. The loop, the trainer, the
run's folder, resume, plan and report know this class and none of those that derive from it. An
objective's name stands in config.OBJECTIVES; its settings are a frozen dataclass, its `Config`.

A batch carries its weight: how many answers count in it. A step over several batches divides by the
sum of their weights, so that a mean is a mean into however many batches it was cut.

Read next: ../pretraining/objective.py (the first), loop.py.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from minigrad import Tensor, nn
from tinygpt.config import Config
from tinygpt.training.trouble import judge_norms

if TYPE_CHECKING:
    from tinygpt.runs.checkpoint import Checkpoint
    from tinygpt.runs.run import Run
    from tinygpt.training.state import TrainState

Say = Callable[[str], None]


class Batch(Protocol):
    """What one forward pass learns from.

    weight: how many answers its mean loss is a mean of.  tokens: how many were read for that.
    """

    @property
    def weight(self) -> float: ...

    @property
    def tokens(self) -> int: ...


class Batches(Protocol):
    """Batches without end, and the place in them as plain values."""

    def __iter__(self) -> Iterator[Any]: ...

    def __next__(self) -> Any: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Objective(ABC):
    """Base of all objectives.

    config: the run's, an instance of Config.
    An objective that was made of its configuration alone can build, plan and describe; one from
    `prepare` or `reopen` has its data too, and can be trained.
    loss_unit, loss_note: of its losses, for screens.
    writes: whether its models write text, so that `generate` is what comes after.
    teaches_roles: whether its models learn who speaks, so that `chat` is what comes after.
    answer: what one answer is, of which its losses are means.
    hold_out: the setting, with a value, by which more is held out.
    """

    Config: ClassVar[type[Config]]
    loss_unit: ClassVar[str] = ""
    loss_note: ClassVar[str] = "Lower is better."
    writes: ClassVar[bool] = True
    teaches_roles: ClassVar[bool] = False
    answer: ClassVar[str] = "answer"
    hold_out: ClassVar[str] = "data.held_out=0.2"

    def __init__(self, config: Any):
        self.config = config

    # A run begins, or goes on.

    @classmethod
    def prepare(cls, config: Any, folder: Path, say: Say | None) -> Objective:
        """An objective with its data for a new run, which will be kept in `folder`.

        Its config is `config` with what the data decides (a vocabulary's size) filled in.
        Raises UserError for data that cannot be used.
        """
        return cls(config)

    @classmethod
    def reopen(cls, run: Run, say: Say) -> Objective:
        """The objective of a run that goes on, with the data that it began with."""
        return cls(run.config)

    @classmethod
    def settled(cls, own: Any, wanted: Any) -> Any:
        """`wanted` with what the data of the run, configured as `own`, has decided."""
        return wanted

    def leave(self, folder: Path) -> None:
        """Write what else a run's new folder should hold.  Raises OSError."""
        return None

    def identity(self) -> dict[str, Any]:
        """What the data was made of: a checkpoint goes on with the same only.  Plain values."""
        return {}

    def check(self, saved: Checkpoint) -> None:
        """Raise UserError if a checkpoint is not of this data or this shape.

        Called before `build`: what a damaged configuration asks for need not fit the memory.
        """
        saved.check_data(self.identity())

    # Learning.

    @abstractmethod
    def build(self, rng: np.random.Generator | None) -> nn.Module:
        """The module to train.  rng: draws weights and dropout; None: zeros, to be loaded."""

    @abstractmethod
    def batches(self, model: Any, rng: np.random.Generator) -> Batches:
        """Batches to learn from.  model: as it is by then, for objectives that let it write."""

    @abstractmethod
    def loss(self, model: Any, batch: Any) -> tuple[Tensor, dict[str, float]]:
        """(mean loss of a batch (), other numbers to log): means over its weight too."""

    def evaluate(self, model: Any, limit: int | None = None) -> float | None:
        """Loss on what was held out, None without.  limit: look at about so many tokens."""
        return None

    def write(self, model: Any, step: int) -> str | None:
        """A sample of what the model can do after a step, None for none."""
        return None

    def judge(self, state: TrainState, loss: float, norm: float) -> str | None:
        """Why a step is not to be made, or None (trouble.py).  Losses may have any sign."""
        return judge_norms(state, loss, norm)

    def drifting(self, state: TrainState) -> str | None:
        """Why the last steps as a whole have gone wrong, or None."""
        return None

    # Before and after.

    @abstractmethod
    def example(self, rng: np.random.Generator) -> Batch:
        """A batch of the size that training uses, of random content, to measure on."""

    def activation_bytes(self) -> int:
        """What a batch's activations take, counted; 0 if only a trial can tell."""
        return 0

    def frozen_bytes(self) -> int:
        """What weights take that training does not change."""
        return 0

    @cached_property
    def parameters(self) -> int:
        """Values that training changes."""
        weights = self.build(None).parameters()
        return sum(weight.data.size for weight in weights if weight.requires_grad)

    def with_training(self, **changes: Any) -> Objective:
        """The same objective and data under a changed [training] section."""
        other = copy.copy(self)
        other.config = self.config.replace("training", **changes)
        return other

    def describe_model(self) -> tuple[str, str]:
        """("A GPT", "4 layers, ..."): what the model is, and its shape."""
        return type(self).__name__, ""

    def describe_data(self) -> str:
        """What it learns from, in a few words."""
        return self.config.objective

    def notes(self) -> list[str]:
        """Sentences about the data that whoever trains on it should hear once."""
        return []

    def bits_per_byte(self, loss: float) -> float | None:
        """A held-out loss as bits for each byte of text, None where it is not one of text.

        Losses per token are comparable for one tokenizer only; these are for all.
        """
        return None

    def closing(self, model: Any) -> list[str]:
        """Sentences on what a model that is trained to its end can do."""
        return []

    def data_tokens(self) -> tuple[int, int]:
        """(tokens to learn from, tokens held out); 0 where there is no such number."""
        return 0, 0

    # What `diagnose` asks (../diagnosis/measure.py measures the rest alike for all).

    @property
    def least_held_out(self) -> int:
        """Tokens that have to be held out before `evaluate` can measure."""
        return 1

    def rivals(self, model: Any) -> dict[str, float]:
        """Losses of what knows next to nothing, on what was held out (or, without, is learned).

        model: as training began with it.
        Those that there are of: uniform (all answers alike), unigram (by frequency), bigram (by
        the token before), base (the model before it was taught).
        """
        return {}

    def signs(self, model: Any) -> dict[str, float]:
        """Shares that tell what a trained model is like and does: those that apply of Findings'
        (../diagnosis/verdict.py) rare_tokens, repetition, text_repetition, copying, right, guessed
        and ended."""
        return {}
