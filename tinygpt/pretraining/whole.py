"""What objectives have in common that train all of a [model] from new weights.

Read first: ../training/objective.py. Read next: objective.py (of a text), ../seq2seq/objective.py.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from tinygpt.model import LanguageModel, build
from tinygpt.model.activations import activation_bytes
from tinygpt.runs.checkpoint import Checkpoint
from tinygpt.training.objective import Objective
from tinygpt.training.state import TrainState
from tinygpt.training.trouble import drifting, judge_spikes
from tinygpt.weights.open import check_size


class WholeModel(Objective):
    """All of a model of the shape in [model] is trained; the data decides its vocabulary.

    model_name: what it is called on screens.  layers: what follows their number there.
    """

    model_name: ClassVar[str]
    layers: ClassVar[str] = "layers"

    @classmethod
    def settled(cls, own: Any, wanted: Any) -> Any:
        return wanted.replace("model", vocab_size=own.model.vocab_size)

    def check(self, saved: Checkpoint) -> None:
        super().check(saved)
        check_size(saved, self.config.model)

    @cached_property
    def parameters(self) -> int:
        """By the shape: a damaged one's need not fit the memory."""
        return self.config.model.parameters

    def build(self, rng: np.random.Generator | None) -> LanguageModel:
        model = build(self.config.model, rng)
        model.recompute = self.config.training.recompute
        return model

    def judge(self, state: TrainState, loss: float, norm: float) -> str | None:
        return judge_spikes(state, loss, norm)

    def drifting(self, state: TrainState) -> str | None:
        return drifting(state)

    def activation_bytes(self) -> int:
        recipe = self.config.training
        return activation_bytes(self.config.model, recipe.batch_size, recipe.recompute)

    def describe_model(self) -> tuple[str, str]:
        shape = self.config.model
        new = getattr(self.config, "base", None) is None  # else the tokens are the base's
        return self.model_name, (
            f"{shape.n_layers} {self.layers}, {shape.n_heads} heads, width {shape.d_model}, "
            f"context {shape.context} tokens, vocabulary {shape.vocab_size:,}"
            + " characters" * (new and self.config.tokenizer.kind == "char")
        )
