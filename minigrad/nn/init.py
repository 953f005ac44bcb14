"""Initial weights, from a seeded generator."""

from __future__ import annotations

import math

import numpy as np

from minigrad.nn.module import Parameter

Random = int | np.random.Generator | None  # a seed, or a Generator that goes on; None: see `normal`


def generator(rng: Random) -> np.random.Generator | None:
    """One Generator for a module and its parts, so that each part draws numbers of its own."""
    return None if rng is None else np.random.default_rng(rng)


def normal(shape: tuple[int, ...], std: float, rng: Random) -> Parameter:
    """float32 draws from N(0, std^2).  GPT-2's: std 0.02 (Radford et al. 2019).

    rng None: zeros that take no memory until written, for a model whose weights will be loaded.
    """
    if rng is None:
        return zeros(shape)
    rng = np.random.default_rng(rng)
    return Parameter(rng.standard_normal(shape, dtype=np.float32) * np.float32(std))


def fan_in_uniform(shape: tuple[int, int], rng: Random) -> Parameter:
    """float32 draws from U(-1/sqrt(in), 1/sqrt(in)) for a weight (out, in): PyTorch's default.

    rng None: zeros, as in `normal`.
    """
    if rng is None:
        return zeros(shape)
    rng = np.random.default_rng(rng)
    bound = 1 / math.sqrt(shape[1])
    return Parameter((rng.random(shape, dtype=np.float32) * 2 - 1) * np.float32(bound))


def sinusoids(shape: tuple[int, int], amplitude: float = 0.05) -> Parameter:
    """Row t holds sines and cosines of t at C / 2 rates, so that near positions look alike.

    shape: (T, C). The rates fall geometrically from 1 radian a position to 2 / T: the fastest tells
    neighbours apart, the slowest passes through a third of its circle along the whole context.
    Source: Vaswani et al. 2017 fix such a table; here it is only where learning starts.
    """
    positions, channels = shape
    half = (channels + 1) // 2
    rates = (max(positions, 2) / 2) ** -(np.arange(half) / half)
    angles = np.arange(positions)[:, None] * rates
    table = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)[:, :channels]
    return Parameter((amplitude * table).astype(np.float32))


def zeros(shape: tuple[int, ...]) -> Parameter:
    """float32 zeros: biases."""
    return Parameter(np.zeros(shape, dtype=np.float32))


def ones(shape: tuple[int, ...]) -> Parameter:
    """float32 ones: the norms' gains."""
    return Parameter(np.ones(shape, dtype=np.float32))
