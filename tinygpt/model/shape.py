"""The shape of a model: everything that decides which arrays it has and what they compute.

Read next: gpt.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tinygpt.config import ConfigError, require


@dataclass(frozen=True)
class ModelShape:
    """Shape of a GPT. The defaults are GPT-2's choices, without biases."""

    vocab_size: int = 65
    context: int = 64  # tokens the model can look back on
    n_layers: int = 4
    n_heads: int = 4
    d_model: int = 128  # width C of the residual stream
    dropout: float = 0.0
    norm: Literal["layernorm", "rmsnorm"] = "layernorm"
    activation: Literal["gelu", "relu2"] = "gelu"

    def __post_init__(self) -> None:
        for name in ("vocab_size", "context", "n_layers", "n_heads", "d_model"):
            require(getattr(self, name) >= 1, f"model.{name}", getattr(self, name), "at least 1")
        if self.d_model % self.n_heads:
            raise ConfigError(
                f"model.d_model = {self.d_model} is not divisible by model.n_heads = "
                f"{self.n_heads}. Choose a width that is a multiple of the number of heads."
            )
        require(0 <= self.dropout < 1, "model.dropout", self.dropout, "in [0, 1)")

    @property
    def parameters(self) -> int:
        """How many values a model of this shape has: known before anything is built.

        Embeddings V C and T C; a layer's matrices 3 C^2 + C^2 (attention) and 4 C^2 + 4 C^2 (MLP)
        and its two norms; the last norm.
        """
        c = self.d_model
        return (self.vocab_size + self.context) * c + self.n_layers * (12 * c * c + 2 * c) + c
