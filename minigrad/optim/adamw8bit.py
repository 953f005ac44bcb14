"""AdamW whose two moments take one byte a parameter each instead of four.

A block of 256 values shares one float32 scale, its largest magnitude, so one outlier coarsens only
its own block (Dettmers et al. 2022). Within a block the codes are spaced by a power law, finer
towards zero, because moments span many orders of magnitude:

    m = scale sign(c) (|c| / 127)^2        c in -127..127
    v = scale (c / 255)^4                  c in 0..255

Adam divides by sqrt(v), so v must not become 0 while gradients flow: its code is at least 1 where v
is above 0. A running mean moves by less than one code a step and plain rounding would freeze it.
So codes are rounded up or down by a dither, frac(i phi + t sqrt(2)) for value i at step t: evenly
spread over values and over steps, the mean moves as it should, and nothing has to be stored or
drawn, so a resumed run makes the same bytes.

Memory: 2 + 8/256 bytes a parameter where AdamW has 8. Parameters of fewer than SMALL values (norms)
keep float32 moments: they are a rounding error of the memory and not of the model.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels import active
from minigrad.optim.adamw import AdamW
from minigrad.tensor import Tensor

BLOCK = 256  # values that share a scale
CHUNK = 256 * BLOCK  # values in work at a time: their float32 moments stay in the cache
SMALL = 4096

_PHI = np.mod(np.arange(CHUNK) * 0.6180339887498949, 1.0).astype(np.float32)


class AdamW8bit(AdamW):
    """AdamW with 8-bit block-quantized moments; arguments as AdamW."""

    def init(self, param: Tensor) -> dict[str, np.ndarray]:
        size = param.data.size
        if size < SMALL:
            return super().init(param)
        blocks = -(-size // BLOCK)
        return {
            "m": np.zeros(size, np.int8), "m_scale": np.zeros(blocks, np.float32),
            "v": np.zeros(size, np.uint8), "v_scale": np.zeros(blocks, np.float32),
        }  # fmt: skip

    def update(
        self, param: Tensor, state: dict[str, np.ndarray], group: dict[str, Any], grad_scale: float
    ) -> None:
        if "m_scale" not in state:
            super().update(param, state, group, grad_scale)
            return
        flat, grad = param.data.reshape(-1), np.ascontiguousarray(param.grad).reshape(-1)
        dither = np.mod(_PHI + np.float32(self.steps * 2**0.5 % 1.0), np.float32(1))
        for start in range(0, flat.size, CHUNK):
            part = slice(start, min(start + CHUNK, flat.size))
            blocks = slice(start // BLOCK, -(-part.stop // BLOCK))
            m = _decode_signed(state["m"][part], state["m_scale"][blocks])
            v = _decode_positive(state["v"][part], state["v_scale"][blocks])
            active.adamw_update(
                flat[part], grad[part], m, v,
                lr=group["lr"], beta1=group["betas"][0], beta2=group["betas"][1],
                eps=group["eps"], weight_decay=group["weight_decay"], step=self.steps,
                grad_scale=grad_scale,
            )  # fmt: skip
            noise = dither[: m.size]
            state["m"][part], state["m_scale"][blocks] = _encode_signed(m, noise)
            state["v"][part], state["v_scale"][blocks] = _encode_positive(v, noise)


def _spread(scale: np.ndarray, size: int) -> np.ndarray:
    """Each block's scale once for each of its values, (size,)."""
    return np.repeat(scale, BLOCK)[:size]


def _largest(values: np.ndarray) -> np.ndarray:
    """The largest magnitude of each block, (blocks,)."""
    padded = np.zeros(-(-values.size // BLOCK) * BLOCK, np.float32)
    np.abs(values, out=padded[: values.size])
    return padded.reshape(-1, BLOCK).max(axis=1)


def _fraction(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """|values| as a share of their block's largest, in 0..1; 0 in a block of zeros."""
    safe = np.where(scale > 0, scale, np.float32(1))
    return np.minimum(np.abs(values) / _spread(safe, values.size), np.float32(1))


def _decode_signed(codes: np.ndarray, scale: np.ndarray) -> np.ndarray:
    x = codes.astype(np.float32) * np.float32(1 / 127)
    return x * np.abs(x) * _spread(scale, x.size)


def _encode_signed(values: np.ndarray, dither: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(codes int8, scale) of values (n,)."""
    scale = _largest(values)
    level = np.sqrt(_fraction(values, scale)) * np.float32(127)
    return np.copysign(_round(level, dither, 2), values).astype(np.int8), scale


def _decode_positive(codes: np.ndarray, scale: np.ndarray) -> np.ndarray:
    x = codes.astype(np.float32) * np.float32(1 / 255)
    x *= x
    return x * x * _spread(scale, x.size)


def _encode_positive(values: np.ndarray, dither: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(codes uint8, scale) of values (n,) >= 0."""
    scale = _largest(values)
    level = np.sqrt(np.sqrt(_fraction(values, scale))) * np.float32(255)
    codes = np.maximum(_round(level, dither, 4), (values > 0).astype(np.float32))
    return codes.astype(np.uint8), scale


def _round(level: np.ndarray, dither: np.ndarray, power: int) -> np.ndarray:
    """A whole level next to `level`, the upper one with the chance that keeps the mean value.

    Values are level^power (2 or 4); the chance is where the value lies between its neighbours':
    (x^2 - b^2) / ((b + 1)^2 - b^2), and for 4 that times (x^2 + b^2) / ((b + 1)^2 + b^2).
    """
    below = np.floor(level)
    chance = (level - below) * (level + below) / (2 * below + 1)
    if power == 4:
        square = below * below
        chance *= (level * level + square) / (2 * square + 2 * below + 1)
    return below + (chance > dither)
