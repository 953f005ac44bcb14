"""How a model knows where each token stands.

    learned, sinusoidal    a vector for each position, added to the token's
    rope                   queries and keys turned by their position (Su et al. 2021)
    alibi                  a fixed slope on the distance of query and key (Press et al. 2022)
    relative               a learned number for each range of distances (Raffel et al. 2020)
    none                   the causal mask alone tells (Kazemnejad et al. 2023)

The first two are part of the stream; the others decide scores, and this file makes what attention
needs for that (minigrad.nn.Sight), once for all layers.

Read next: block.py.
"""

from __future__ import annotations

import math

import numpy as np

from minigrad import Tensor, nn
from tinygpt.model.shape import ModelShape

BUCKETS = 32  # of `relative`
FARTHEST = 128  # distances from here on share the last bucket


def rope_tables(positions: int, pairs: int, theta: float) -> tuple[np.ndarray, np.ndarray]:
    """cos and sin of position p times theta^(-i / pairs), (positions, pairs) float32 each.

    Angles are made in float64: at position 100,000 a float32 angle is off by 0.004.
    """
    rates = theta ** -(np.arange(pairs) / pairs)
    angles = np.arange(positions)[:, None] * rates
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def alibi_slopes(heads: int) -> np.ndarray:
    """A slope for each head, (H,) float32: 2^(-8/H), 2^(-16/H), ... for a power of two.

    Other numbers take those of the power of two below, then every second one of the next power's,
    as the authors' code does.
    """
    power = 2 ** math.floor(math.log2(heads))
    slopes = [2.0 ** (-8 * (i + 1) / power) for i in range(power)]
    between = [2.0 ** (-4 * (2 * i + 1) / power) for i in range(heads - power)]
    return np.array(slopes + between, np.float32)


def buckets(distances: np.ndarray, both_ways: bool) -> np.ndarray:
    """The bucket of each distance (query's position less key's), as T5 counts them.

    Half of the buckets are single distances, the other half ranges that grow geometrically up to
    FARTHEST.  both_ways: an encoder's keys may come after the query; they get the upper half of
    the buckets.  A decoder's are all before it, and what is not counts as 0.
    """
    count = BUCKETS // 2 if both_ways else BUCKETS
    upper = np.where(distances < 0, count, 0) if both_ways else 0
    away = np.abs(distances) if both_ways else np.maximum(distances, 0)
    single = count // 2
    with np.errstate(divide="ignore"):
        log = np.log(away.astype(np.float32) / np.float32(single)) / math.log(FARTHEST / single)
    ranged = single + np.where(away > 0, log * (count - single), 0).astype(np.int64)
    return upper + np.where(away < single, away, np.minimum(ranged, count - 1))


class Positions(nn.Module):
    """What a shape's kind of positions gives to attention.

    table: (BUCKETS, H), learned, of `relative`; None otherwise.
    sinusoids: (context, E), what `sinusoidal` adds to the tokens' vectors.
    """

    def __init__(self, shape: ModelShape, causal: bool, rng: np.random.Generator | None):
        self.shape, self.causal = shape, causal
        self.table = None
        if shape.positions == "relative":
            self.table = nn.Embedding(BUCKETS, shape.n_heads, rng=rng)
        self.sinusoids = nn.init.sinusoids((shape.context, shape.embedding)).data
        self._slopes = alibi_slopes(shape.n_heads) if shape.positions == "alibi" else None
        self._rotary: tuple[np.ndarray, np.ndarray] | None = None

    def rotary(self, positions: int) -> tuple[np.ndarray, np.ndarray] | None:
        """rope's tables for at least that many positions, None for another kind."""
        if self.shape.positions != "rope":
            return None
        if self._rotary is None or len(self._rotary[0]) < positions:
            pairs = self.shape.heads[2] // 2
            self._rotary = rope_tables(positions, pairs, self.shape.rope_theta)
        return self._rotary

    def sight(self, rows: int, start: int, length: int) -> nn.Sight:
        """For queries at start .. start + length - 1 of each row, keys from 0 on."""
        end = start + length
        return nn.Sight(
            first=self._first(rows, start, end), bias=self._bias(length, end),
            rotary=self.rotary(self.shape.context), start=start,
        )

    def _first(self, rows: int, start: int, end: int) -> np.ndarray | None:
        """A window's first keys (B, T), None if it reaches back to the start."""
        window = self.shape.window
        if window is None or end <= window:
            return None
        first = np.maximum(np.arange(start, end) - window + 1, 0)
        return np.broadcast_to(first, (rows, end - start))

    def _bias(self, queries: int, keys: int) -> Tensor | np.ndarray | None:
        """(H, Tq + Tk - 1) by distance, the past to the right of the middle."""
        distances = np.arange(1 - queries, keys)
        if self._slopes is not None:
            return -self._slopes[:, None] * np.abs(distances).astype(np.float32)
        if self.table is not None:
            found = self.table(buckets(distances, both_ways=not self.causal))  # (L, H)
            return found.transpose(0, 1)
        return None
