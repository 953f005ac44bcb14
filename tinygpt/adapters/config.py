"""Which method teaches a model with few parameters, and how much it may change.

Read next: adapt.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from tinygpt.config import ConfigError, require

Name = Literal["full", "lora", "dora", "qlora", "ia3", "bottleneck", "prefix", "prompt"]
METHODS: tuple[Name, ...] = get_args(Name)
# What a block multiplies by: queries, keys, values, the way back, the MLP's two or three; "qkv" is
# the first three under one pair of factors, as GPT-2's c_attn has them.
MATRICES = ("q", "k", "v", "o", "gate", "up", "down", "qkv")


@dataclass(frozen=True)
class MethodConfig:
    """A method and its settings; each method reads its own.

    rank, alpha, rslora, dropout: of W + s B A.  s is alpha / rank, or alpha / sqrt(rank) (rsLoRA:
        Kalajdzievski 2023), which keeps the size of what is added at any rank. Dropout acts on what
        the factors read.
    targets: which of MATRICES; those that a model lacks are passed over. None: all of them, which
        is what matches full fine-tuning (Schulman et al. 2025, "LoRA Without Regret"); of ia3 the
        paper's three.
    tokens: of a prefix or a prompt, positions in front of the text.
    width: of a bottleneck's middle.
    """

    name: Name = "lora"
    rank: int = 8
    alpha: float = 16.0
    rslora: bool = False
    dropout: float = 0.0
    targets: tuple[str, ...] | None = None
    tokens: int = 16
    width: int = 32

    def __post_init__(self) -> None:
        for name in ("rank", "tokens", "width"):
            require(getattr(self, name) >= 1, f"method.{name}", getattr(self, name), "at least 1")
        require(self.alpha > 0, "method.alpha", self.alpha, "above 0")
        require(0 <= self.dropout < 1, "method.dropout", self.dropout, "in [0, 1)")
        for target in self.matrices:
            if target not in MATRICES:
                raise ConfigError(
                    f"method.targets names {target!r}. {_why(target)}Known: {', '.join(MATRICES)}."
                )
        if "qkv" in self.matrices and {"q", "k", "v"} & set(self.matrices):
            raise ConfigError(
                "method.targets names qkv and one of its parts. Name the whole or the parts."
            )

    @property
    def matrices(self) -> tuple[str, ...]:
        """The targets."""
        if self.targets is not None:
            return self.targets
        return ("k", "v", "down") if self.name == "ia3" else MATRICES[:7]

    @property
    def scale(self) -> float:
        """By which B A is multiplied."""
        return self.alpha / (self.rank**0.5 if self.rslora else self.rank)


def _why(target: str) -> str:
    """What is wrong with adapting a table, for whoever asks."""
    if target not in ("lm_head", "head", "output", "token_embedding", "embed_tokens", "wte"):
        return ""
    return (
        "A table that is also the output projection (tied) would change what tokens mean when what "
        "is to change is how they are predicted; and one that is not is small beside the blocks. "
    )
