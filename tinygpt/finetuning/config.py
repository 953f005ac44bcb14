"""The settings of a classifier: the encoder it stands on, its labelled texts, and the recipe.

Read next: classification.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from tinygpt.config import Config, ConfigError, TrainingConfig, require
from tinygpt.model.shape import ModelShape
from tinygpt.pretraining.config import TokenizerConfig


@dataclass(frozen=True)
class LabelledConfig:
    """Where labelled texts come from (../text/labelled.py says in what forms)."""

    source: str = ""
    held_out: float = 0.2  # share of the texts that is not learned from

    def __post_init__(self) -> None:
        require(0 <= self.held_out < 1, "data.held_out", self.held_out, "in [0, 1)")


@dataclass(frozen=True)
class HeadConfig:
    """What stands on the encoder: one product of a text's vector."""

    pool: Literal["mean", "first"] = "mean"  # over the text's tokens, or its opening's alone
    classes: tuple[str, ...] = ()  # the data decides


@dataclass(frozen=True)
class ClassificationConfig(Config):
    """All of a training on labelled texts.

    base: the folder of an encoder's run, whose model, weights and tokenizer are taken; None: a
        new model of [model], with a tokenizer of the labelled texts.
    """

    language_model: ClassVar[bool] = False
    objective: str = "classification"
    base: str | None = None
    model: ModelShape = field(default_factory=lambda: ModelShape(assembly="encoder"))
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    data: LabelledConfig = field(default_factory=LabelledConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        if self.model.assembly != "encoder":
            raise ConfigError(
                f'model.assembly = "{self.model.assembly}" cannot stand under objective = '
                '"classification", which reads whole texts. Set model.assembly = "encoder" (or '
                'model.family = "bert").'
            )
