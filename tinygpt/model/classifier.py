"""Classifier: an encoder, and on a text's vector one product that scores each class.

The text's tokens become vectors, their mean (or the opening's alone) one vector (Devlin et al.
2019, 4.1; the mean: Reimers and Gurevych 2019).

Read first: encoder.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from minigrad import Tensor, nn
from tinygpt.model.build import build
from tinygpt.model.shape import ModelShape


@dataclass(frozen=True)
class HeadConfig:
    """What stands on the encoder: one product of a text's vector."""

    pool: Literal["mean", "first"] = "mean"  # over the text's tokens, or its opening's alone
    classes: tuple[str, ...] = ()  # the data decides

    @property
    def rows(self) -> int:
        """Scores; before there are texts as few as can be."""
        return max(2, len(self.classes))

    def values(self, shape: ModelShape) -> int:
        """How many it has on an encoder of a shape."""
        return self.rows * (shape.d_model + 1)


class Classifier(nn.Module):
    """An encoder and a score for each class.  settings: of the head."""

    def __init__(self, shape: ModelShape, settings: HeadConfig, rng: np.random.Generator | None):
        self.encoder: Any = build(shape, rng)
        self.settings = settings
        self.head = nn.Linear(shape.d_model, settings.rows, std=0.02, rng=rng)

    @property
    def shape(self) -> ModelShape:
        """Of the encoder."""
        shape: ModelShape = self.encoder.shape
        return shape

    def forward(self, ids: np.ndarray, lengths: np.ndarray) -> Tensor:
        """ids: (B, T), row b of lengths[b] tokens.  Returns logits (B, classes)."""
        x = self.encoder.vectors(ids, lengths)  # (B, T, C)
        return self.head(mean_vector(x, lengths) if self.settings.pool == "mean" else x[:, 0])


def mean_vector(x: Tensor, lengths: np.ndarray) -> Tensor:
    """The mean over each row's own tokens: (B, T, C) -> (B, C)."""
    real = np.arange(x.shape[1]) < lengths[:, None]
    share = (real / lengths[:, None]).astype(x.dtype)  # (B, T)
    return (x * Tensor(share[:, :, None])).sum(axis=1)
