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


def rope_rates(pairs: int, theta: float) -> np.ndarray:
    """Radians a position by which each pair turns, theta^(-i / pairs), (pairs,) float64."""
    return theta ** -(np.arange(pairs) / pairs)


def rope_tables(start: int, end: int, rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """cos and sin of positions start .. end - 1 times rates, (end - start, pairs) float32 each.

    Angles are made in float64: at position 100,000 a float32 angle is off by 0.004.
    """
    angles = np.arange(start, end)[:, None] * rates
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
    sinusoids: (context, E), what `sinusoidal` adds to the tokens' vectors; None otherwise.
    rates: (D / 2,) float64, radians a position of each pair, of `rope`; None otherwise.
    """

    def __init__(self, shape: ModelShape, causal: bool, rng: np.random.Generator | None):
        self.shape, self.causal = shape, causal
        self.table = None
        if shape.positions == "relative":
            self.table = nn.Embedding(BUCKETS, shape.n_heads, rng=rng)
        self.sinusoids = None
        if shape.positions == "sinusoidal":
            self.sinusoids = nn.init.sinusoids((shape.context, shape.embedding)).data
        self._slopes = None
        if shape.positions == "alibi":
            self._slopes = alibi_slopes(shape.n_heads) * np.float32(shape.alibi_scale)
        self.rates = None
        if shape.positions == "rope":
            self.rates = rope_rates(shape.heads[2] // 2, shape.rope_theta)
        self._rotary: tuple[np.ndarray, np.ndarray] | None = None  # of the first positions

    def sight(self, rows: int, start: int, length: int) -> nn.Sight:
        """For queries at start .. start + length - 1 of each row.

        Keys are those of the same positions, after the last shape.sight ones that a cache kept.
        """
        kept = min(start, self.shape.sight)
        return nn.Sight(
            first=self._first(rows, kept, kept + length),
            bias=self.bias(np.arange(1 - length, kept + length)),
            rotary=self.tables(start, start + length),
        )

    def tables(self, start: int, end: int) -> tuple[np.ndarray, np.ndarray] | None:
        """rope's cos and sin of positions start .. end - 1, None for another kind."""
        if self.rates is None:
            return None
        if end > self.shape.context:
            return rope_tables(start, end, self.rates)
        if self._rotary is None or len(self._rotary[0]) < end:  # few texts fill a long context
            longer = min(1 << (end - 1).bit_length(), self.shape.context)
            self._rotary = rope_tables(0, longer, self.rates)
        cos, sin = self._rotary
        return cos[start:end], sin[start:end]

    def _first(self, rows: int, start: int, end: int) -> np.ndarray | None:
        """First keys (B, T) of queries start .. end - 1, None if all see from key 0 on."""
        if end <= self.shape.sight:
            return None
        first = np.maximum(np.arange(start, end) - self.shape.sight + 1, 0)
        return np.broadcast_to(first, (rows, end - start))

    def bias(self, distances: np.ndarray) -> Tensor | np.ndarray | None:
        """(L,) distances of a query and a key before it -> (H, L), what is added to scores."""
        if self._slopes is not None:
            return -self._slopes[:, None] * np.abs(distances).astype(np.float32)
        if self.table is not None:
            found = self.table(buckets(distances, both_ways=not self.causal))  # (L, H)
            return found.transpose(0, 1)
        return None
