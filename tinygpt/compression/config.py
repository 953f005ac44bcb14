"""The settings of a training by a teacher, and of what heals a model that was cut.

Read next: distillation.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from tinygpt.compression.divergence import Divergence
from tinygpt.config import Config, ConfigError, TrainingConfig, require
from tinygpt.model.shape import ModelShape
from tinygpt.pretraining.config import DataConfig, MaskingConfig, TokenizerConfig


@dataclass(frozen=True)
class TeachingConfig:
    """How a teacher is listened to.

    teacher: a run, a quantized or GGUF file, or a Hugging Face folder; None: the text alone
        teaches, which heals a base without a teacher.
    by: its "logits", token by token, which takes its tokenizer; or the "text" that it writes.
    soft: the share of the teacher in the loss; the text has the rest.
    temperature, divergence: see divergence.py.
    hidden: weight of the angle between its last vectors and the student's, by a projection.
    top: log-probabilities of the teacher that are kept on disk at each place, so that it is asked
        once; None: it is asked at every step, and nothing is kept.
    on_policy: the share of batches that the student writes itself (Agarwal et al. 2024, GKD).
    written: tokens that it writes, by text.
    rounded: the scheme that the student is trained through, to be quantized by it (straight.py).
    width: of the teacher's vectors; the teacher decides it.
    """

    teacher: str | None = None
    by: Literal["logits", "text"] = "logits"
    soft: float = 0.9
    temperature: float = 1.0
    divergence: Divergence = "forward"
    hidden: float = 0.0
    top: int | None = None
    on_policy: float = 0.0
    written: int = 500_000
    rounded: Literal["int8", "int4", "nf4", "q4_1", "q8_0"] | None = None
    width: int | None = None

    def __post_init__(self) -> None:
        for name in ("soft", "on_policy"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"distillation.{name}", value, "from 0 to 1")
        above = self.temperature > 0
        require(above, "distillation.temperature", self.temperature, "above 0")
        require(self.hidden >= 0, "distillation.hidden", self.hidden, "0 or more")
        some = self.top is None or self.top >= 1
        require(some, "distillation.top", self.top, "at least 1, or none")
        require(self.written >= 10_000, "distillation.written", self.written, "10,000 or more")
        if self.rounded is not None and self.on_policy:
            raise ConfigError(
                f"distillation.rounded = {self.rounded!r} is rounded anew at every step, which is "
                "too slow to write by. Leave out distillation.on_policy."
            )
        if self.top is None:
            return
        for name, usual in (("temperature", 1.0), ("on_policy", 0.0), ("hidden", 0.0)):
            if getattr(self, name) != usual:
                raise ConfigError(
                    f"distillation.{name} = {getattr(self, name)} asks the teacher anew, and "
                    f"distillation.top = {self.top} keeps what it said once. Leave one of them out."
                )

    @property
    def listens(self) -> bool:
        """Whether a teacher is asked while the student learns."""
        return self.teacher is not None and self.by == "logits" and (self.soft + self.hidden) > 0


@dataclass(frozen=True)
class DistillationConfig(Config):
    """All of a training by a teacher.

    base: where the student begins, as a model that was pruned; None: new weights of [model].
    """

    assembly: ClassVar[str] = "decoder"
    objective: str = "distillation"
    base: str | None = None
    model: ModelShape = field(default_factory=ModelShape)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    data: DataConfig = field(default_factory=DataConfig)
    distillation: TeachingConfig = field(default_factory=TeachingConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        if self.distillation.teacher is None and self.base is None:
            raise ConfigError(
                f'objective = "{self.objective}" learns from a teacher, and there is none. Name '
                "one with distillation.teacher."
            )
        if self.model.assembly != self.assembly:
            raise ConfigError(
                f'model.assembly = "{self.model.assembly}" does not learn by objective = '
                f'"{self.objective}". Set model.assembly = "{self.assembly}".'
            )

    @property
    def heads(self) -> dict[str, tuple[int, ...]]:
        """What stands on the model while it is trained: the projection to the teacher's vectors."""
        how = self.distillation
        if not how.hidden or how.width is None:
            return {}
        return {"projection.weight": (how.width, self.model.d_model)}


@dataclass(frozen=True)
class MaskedDistillationConfig(DistillationConfig):
    """The same of an encoder, with DistilBERT's mixture (Sanh et al. 2019)."""

    assembly: ClassVar[str] = "encoder"
    objective: str = "masked-distillation"
    model: ModelShape = field(default_factory=lambda: ModelShape(assembly="encoder"))
    masking: MaskingConfig = field(default_factory=MaskingConfig)
