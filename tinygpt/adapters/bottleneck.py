"""Bottleneck adapters: a small MLP after each half of a block, the first of all adapters.

    y = f(x);   y + up(gelu(down(y)))        down: (width, C), up: (C, width)

It is no matrix, so nothing can be merged: a step of generation costs a little more for ever. What
it can do that LoRA cannot is to bend. up begins as zeros, so that the model is what it was.

Source: Houlsby et al. 2019.
Read next: prefix.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import Tensor, nn


class Bottleneck(nn.Module):
    """base(...) and what a narrow MLP adds to it.

    base: a half of a block, which returns (..., C).
    down: (width, C), PyTorch's uniform; up: (C, width), zeros.
    """

    def __init__(
        self, base: nn.Module, channels: int, width: int, rng: np.random.Generator | None
    ):
        self.base = base
        self.down = nn.Linear(channels, width, rng=rng)
        self.up = nn.Linear(width, channels, activation="gelu", std=0.0, rng=rng)

    def forward(self, *args: Any) -> Tensor:
        """As base's."""
        y: Tensor = self.base(*args)
        return self.up(self.down(y), y)
