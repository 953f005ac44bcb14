"""Initial weights, from a seeded generator."""

from __future__ import annotations

import math

import numpy as np

from minigrad.nn.module import Parameter


def normal(shape: tuple[int, ...], std: float, rng: np.random.Generator | None) -> Parameter:
    """float32 draws from N(0, std^2).  GPT-2's: std 0.02 (Radford et al. 2019).

    rng None: zeros that take no memory until written, for a model whose weights will be loaded.
    """
    if rng is None:
        return zeros(shape)
    return Parameter(rng.standard_normal(shape, dtype=np.float32) * np.float32(std))


def fan_in_uniform(shape: tuple[int, int], rng: np.random.Generator | None) -> Parameter:
    """float32 draws from U(-1/sqrt(in), 1/sqrt(in)) for a weight (out, in): PyTorch's default.

    rng None: zeros, as in `normal`.
    """
    if rng is None:
        return zeros(shape)
    bound = 1 / math.sqrt(shape[1])
    return Parameter((rng.random(shape, dtype=np.float32) * 2 - 1) * np.float32(bound))


def zeros(shape: tuple[int, ...]) -> Parameter:
    """float32 zeros: biases."""
    return Parameter(np.zeros(shape, dtype=np.float32))


def ones(shape: tuple[int, ...]) -> Parameter:
    """float32 ones: the norms' gains."""
    return Parameter(np.ones(shape, dtype=np.float32))
