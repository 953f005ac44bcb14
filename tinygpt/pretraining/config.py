"""The settings of a pretraining: a model's shape, its tokenizer, its text, and the recipe.

Read next: objective.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tinygpt.config import Config, ConfigError, TrainingConfig
from tinygpt.model.shape import ModelShape


@dataclass(frozen=True)
class TokenizerConfig:
    """How text becomes ids."""

    kind: Literal["char", "bpe"] = "char"
    vocab_size: int = 4096  # of a BPE tokenizer; the characters seen decide it for "char"
    pattern: str = "cl100k"  # how BPE cuts text into words: gpt2, cl100k, llama3 or a regex


@dataclass(frozen=True)
class DataConfig:
    """Where text comes from and how it is split."""

    source: str = "stories"  # or "python", "python+tests", or the path of a text file or folder
    split: tuple[float, ...] = (0.8, 0.1, 0.1)  # train, validation, test
    by_position: bool = False  # cut a single text where it stands instead of by document
    stories_mb: float = 8.0  # size of the generated corpus, millions of characters
    errors: Literal["strict", "replace"] = "strict"  # bytes that are not UTF-8: stop, or U+FFFD

    def __post_init__(self) -> None:
        parts = self.split
        if len(parts) != 3 or min(parts) < 0 or abs(sum(parts) - 1) > 1e-6 or not parts[0]:
            raise ConfigError(
                f"data.split = {list(parts)} must be three fractions (train, validation, test) "
                "that sum to 1, the first above 0. Write for example [0.8, 0.1, 0.1]."
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
        if self.base is not None:
            raise ConfigError(
                f"base = {self.base!r}: pretraining begins with new weights. Leave base out."
            )
