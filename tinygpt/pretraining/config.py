"""The settings of a pretraining: a model's shape, its tokenizer, its text, and the recipe.

Read next: objective.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from tinygpt.config import Config, ConfigError, TrainingConfig, require
from tinygpt.model.shape import ModelShape
from tinygpt.text import mixture

LEARNED_BY = {  # assembly -> objective
    "decoder": "pretraining", "encoder": "masked", "encoder-decoder": "seq2seq",
}


@dataclass(frozen=True)
class TokenizerConfig:
    """How text becomes ids."""

    kind: Literal["char", "bpe", "unigram"] = "char"
    vocab_size: int = 4096  # of BPE and Unigram; the characters seen decide it for "char"
    pattern: str = "cl100k"  # how those two cut text into words: gpt2, cl100k, llama3 or a regex


@dataclass(frozen=True)
class DataConfig:
    """Where text comes from and how it is split."""

    source: str = "stories"  # or "python", "python+tests", or the path of a text file or folder
    split: tuple[float, ...] = (0.8, 0.1, 0.1)  # train, validation, test
    by_position: bool = False  # cut a single text where it stands instead of by document
    stories_mb: float = 8.0  # size of the generated corpus, millions of characters
    errors: Literal["strict", "replace"] = "strict"  # bytes that are not UTF-8: stop, or U+FFFD
    sources: tuple[str, ...] = ()  # a mixture in place of source: ../text/mixture.py
    temperature: float = 1.0  # of a mixture: above 1 small languages are read more often

    def __post_init__(self) -> None:
        parts = self.split
        if len(parts) != 3 or min(parts) < 0 or abs(sum(parts) - 1) > 1e-6 or not parts[0]:
            raise ConfigError(
                f"data.split = {list(parts)} must be three fractions (train, validation, test) "
                "that sum to 1, the first above 0. Write for example [0.8, 0.1, 0.1]."
            )
        if not 0 < self.temperature < float("inf"):
            raise ConfigError(
                f"data.temperature = {self.temperature} must be above 0. 1 reads every token as "
                "often, 2 small sources more often than they are large."
            )
        named = [mixture.parse(entry).source for entry in self.sources]
        if len(set(named)) < len(named):
            raise ConfigError(
                f"data.sources names one of {', '.join(named)} twice. Give it a weight instead."
            )
        if named and self.source != DataConfig.source:
            raise ConfigError(
                f"data.source = {self.source!r} and data.sources are both set. Take one out."
            )


@dataclass(frozen=True)
class PretrainingConfig(Config):
    """All of a pretraining."""

    objective: str = "pretraining"
    base: str | None = None
    model: ModelShape = field(default_factory=ModelShape)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    data: DataConfig = field(default_factory=DataConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        check_begins_anew("pretraining", self.base)
        check_assembly(self.objective, self.model)

    @staticmethod
    def learned_by(model: Any) -> str:
        """The objective that a [model] section asks for where a file names none: one of a text."""
        values = ModelShape.fill(model) if isinstance(model, dict) else {}
        return "masked" if values.get("assembly") == "encoder" else "pretraining"


@dataclass(frozen=True)
class MaskingConfig:
    """What is hidden from an encoder (Devlin et al. 2019, 3.1)."""

    share: float = 0.15  # of the tokens are asked for
    masked: float = 0.8  # of those stand as <|mask|>
    random: float = 0.1  # as a random token, and what is left as it is

    def __post_init__(self) -> None:
        require(0 < self.share <= 1, "masking.share", self.share, "above 0, at most 1")
        for name in ("masked", "random"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"masking.{name}", value, "in [0, 1]")
        if self.masked + self.random > 1 + 1e-9:
            raise ConfigError(
                f"masking.masked = {self.masked} and masking.random = {self.random} are more than "
                "all of the tokens asked for. Let their sum be 1 at most."
            )


@dataclass(frozen=True)
class MaskedConfig(Config):
    """All of a training on hidden tokens."""

    objective: str = "masked"
    base: str | None = None
    model: ModelShape = field(default_factory=lambda: ModelShape(assembly="encoder"))
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    data: DataConfig = field(default_factory=DataConfig)
    masking: MaskingConfig = field(default_factory=MaskingConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        check_begins_anew("an encoder", self.base)
        check_assembly(self.objective, self.model)


def check_begins_anew(what: str, base: str | None) -> None:
    """Raise ConfigError if there is a base for what begins with new weights."""
    if base is not None:
        raise ConfigError(f"base = {base!r}: {what} begins with new weights. Leave base out.")


def check_assembly(objective: str, shape: ModelShape) -> None:
    """Raise ConfigError, naming both, unless an objective is of a shape's assembly."""
    right = LEARNED_BY.get(shape.assembly)
    if right != objective:
        wanted = next(name for name, by in LEARNED_BY.items() if by == objective)
        other = f'objective = "{right}", or ' if right else ""
        raise ConfigError(
            f'model.assembly = "{shape.assembly}" does not learn by objective = "{objective}". '
            f'Set {other}model.assembly = "{wanted}" (or a family of that kind).'
        )
