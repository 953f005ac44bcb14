"""AdamW whose two moments take one byte a parameter each instead of four.

How they are coded and why that is enough: kernels/numpy_ref/adamw8bit.py.

Memory: 2 + 8/256 bytes a parameter where AdamW has 8. Parameters of fewer than SMALL values (norms)
keep float32 moments: they are a rounding error of the memory and not of the model.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels import active
from minigrad.optim.adamw import AdamW
from minigrad.optim.optimizer import State
from minigrad.tensor import Tensor

BLOCK = 256  # values that share a scale; the kernels' number
SMALL = 4096


class AdamW8bit(AdamW):
    """AdamW with 8-bit block-quantized moments; arguments as AdamW."""

    def init(self, param: Tensor) -> State:
        """Codes m (size,) int8 and v (size,) uint8, a scale for each block; if small as AdamW."""
        size, dtype = param.data.size, param.data.dtype
        if size < SMALL:
            return super().init(param)
        blocks = -(-size // BLOCK)
        return {
            "m": np.zeros(size, np.int8), "m_scale": np.zeros(blocks, dtype),
            "v": np.zeros(size, np.uint8), "v_scale": np.zeros(blocks, dtype),
        }

    def update(
        self, params: list[Tensor], states: list[State], group: dict[str, Any], grad_scale: float
    ) -> None:
        small = [i for i, state in enumerate(states) if "m_scale" not in state]
        super().update([params[i] for i in small], [states[i] for i in small], group, grad_scale)
        for param, state in zip(params, states, strict=True):
            if "m_scale" in state:
                active.adamw8bit_update(
                    param.data, param.grad, **state,
                    lr=group["lr"], beta1=group["betas"][0], beta2=group["betas"][1],
                    eps=group["eps"], weight_decay=group["weight_decay"], step=self.steps,
                    grad_scale=grad_scale,
                )
