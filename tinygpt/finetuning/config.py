"""The settings of what comes after pretraining: of a classifier, and of a model that answers.

Read next: classification.py, objective.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from tinygpt.adapters import MethodConfig
from tinygpt.config import Config, ConfigError, TrainingConfig, require
from tinygpt.model.classifier import HeadConfig
from tinygpt.model.shape import ModelShape
from tinygpt.pretraining.config import TokenizerConfig

ALONE = ("prefix", "prompt")  # methods that stand before one text a row


@dataclass(frozen=True)
class LabelledConfig:
    """Where labelled texts come from (../text/labelled.py says in what forms)."""

    source: str = ""
    held_out: float = 0.2  # share of the texts that is not learned from

    def __post_init__(self) -> None:
        require(0 <= self.held_out < 1, "data.held_out", self.held_out, "in [0, 1)")


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


@dataclass(frozen=True)
class ConversationsConfig:
    """What is learned to be answered (../text/conversations.py says in what forms)."""

    source: str = ""  # or one of ../text/tasks: addition, world, couplets
    count: int = 11_000  # of the conversations that are made for those
    held_out: float = 0.1  # share of the conversations that is not learned from
    template: str | None = None  # a known one's name or a file of Jinja; None: the base's, or ours
    length: int | None = None  # tokens in a row; None: what the data needs
    packed: bool = True  # several conversations in a row, hidden from each other
    epochs: float | None = None  # how often each is learned from; None: as training.steps says

    def __post_init__(self) -> None:
        require(2 <= self.count <= 1_000_000, "data.count", self.count, "2 to 1,000,000")
        require(0 <= self.held_out < 1, "data.held_out", self.held_out, "in [0, 1)")
        above = self.epochs is None or self.epochs > 0
        require(above, "data.epochs", self.epochs, "above 0, or none")
        long_enough = self.length is None or self.length >= 2
        require(long_enough, "data.length", self.length, "at least 2, or none")


@dataclass(frozen=True)
class FinetuningRecipe(TrainingConfig):
    """The recipe, with gentler defaults: what the base knows is to be kept."""

    batch_size: int = 8  # rows
    lr: float = 3e-4
    min_lr: float = 3e-5
    warmup_steps: int = 20
    weight_decay: float = 0.01
    eval_every: int | None = 50
    checkpoint_every: int | None = 100
    sample_every: int | None = 200


@dataclass(frozen=True)
class FinetuningConfig(Config):
    """All of a training on conversations.

    base: a run, a quantized or GGUF file, or a Hugging Face folder, whose model, weights and
        tokenizer are taken; None: a new model of [model], with a tokenizer of the conversations.
    """

    objective: str = "finetuning"
    base: str | None = None
    model: ModelShape = field(default_factory=ModelShape)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    data: ConversationsConfig = field(default_factory=ConversationsConfig)
    method: MethodConfig = field(default_factory=lambda: MethodConfig(name="full"))
    training: FinetuningRecipe = field(default_factory=FinetuningRecipe)

    def __post_init__(self) -> None:
        if self.model.assembly != "decoder":
            raise ConfigError(
                f'model.assembly = "{self.model.assembly}" cannot answer: what answers goes on '
                'with a text. Set model.assembly = "decoder", or choose another base.'
            )
        if self.method.name != "full" and self.base is None:
            raise ConfigError(
                f'method.name = "{self.method.name}" adapts a base, and there is none. Name one '
                'with base, or set method.name = "full".'
            )
