"""The settings of a sequence-to-sequence training: an encoder-decoder, a tokenizer, pairs, and the
recipe.

Read next: pairs.py, objective.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tinygpt.config import Config, TrainingConfig, require
from tinygpt.model.shape import ModelShape
from tinygpt.pretraining.config import TokenizerConfig, check_assembly, check_begins_anew


@dataclass(frozen=True)
class PairsConfig:
    """Where pairs come from and how many are held out."""

    source: str = "numbers"  # or a .tsv file (source, tab, target), or .jsonl of both by name
    count: int = 30_000  # of the numbers that are drawn for "numbers"
    both_ways: bool = False  # also learn the source from the target
    held_out: float = 0.1  # share of the pairs, in neither direction learned from

    def __post_init__(self) -> None:
        require(2 <= self.count <= 1_000_000, "data.count", self.count, "2 to 1,000,000")
        require(0 <= self.held_out < 1, "data.held_out", self.held_out, "in [0, 1)")


@dataclass(frozen=True)
class Seq2SeqConfig(Config):
    """All of it."""

    objective: str = "seq2seq"
    base: str | None = None
    model: ModelShape = field(default_factory=lambda: ModelShape(assembly="encoder-decoder"))
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    data: PairsConfig = field(default_factory=PairsConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        check_begins_anew("this training", self.base)
        check_assembly(self.objective, self.model)
