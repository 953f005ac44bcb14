"""How sure a number is: intervals around what was measured, and what chance alone would give.

    found = ratio(bits, bytes, rng)          a mean of clusters, with its 95 % interval
    change = difference(a, b, bytes, rng)    of two models on the same clusters
    low, high = chance([1 / 4] * 200)        how many of 200 guesses may be right

Items of one document are alike: two questions about one story are right or wrong together. So what
is drawn again is whole clusters (documents), never single items: an interval that treats a hundred
questions about five stories as a hundred witnesses is several times too narrow (Miller 2024).

The bootstrap draws n of n clusters with replacement, many times, and looks where the number falls
(Efron 1979). With few clusters its plain percentiles are too narrow, by sqrt((n - 1) / n) and by
what a t distribution is wider than a normal one; the percentiles are moved outward by both
(Hesterberg 2015, "expanded percentile"), and so cover the truth as often as they say.

Read next: trainings.py, whose witnesses are trainings; language_modelling.py.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

LEVEL = 0.95
POWER = 0.8
RESAMPLES = 2000
AT_ONCE = 4_000_000  # drawn counts in memory
FEWEST = 3  # clusters below which nothing is known of how they differ
NORMAL = NormalDist()
Values = Sequence[float] | np.ndarray


class Interval(NamedTuple):
    """A number and where it may be.  low, high: nan where the data cannot tell.

    error: its standard error.  clusters: independent witnesses.
    """

    value: float
    low: float
    high: float
    error: float
    clusters: int

    @property
    def known(self) -> bool:
        return math.isfinite(self.low)

    def covers(self, truth: float) -> bool:
        return self.low <= truth <= self.high


def alone(value: float) -> Interval:
    """A number with no interval, because nothing was drawn for it."""
    return Interval(value, math.nan, math.nan, math.nan, 0)


class Difference(NamedTuple):
    """What changes from one model to another, of the same clusters.

    detectable: the smallest true difference that data like these would show POWER of the time.
    """

    interval: Interval
    detectable: float

    @property
    def seen(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.interval.known and not self.interval.covers(0.0)


def ratio(above: Values, below: Values, rng: np.random.Generator) -> Interval:
    """sum(above) / sum(below), each a number for every cluster: bits and bytes of documents.

    With fewer than FEWEST clusters the bounds are nan.  Raises ValueError for none.
    """
    x, y = np.asarray(above, np.float64), np.asarray(below, np.float64)
    if not len(x) or len(x) != len(y) or not y.sum() > 0:
        raise ValueError(f"ratio: {len(x)} numbers above, {len(y)} below, whose sum is {y.sum()}")
    n, value = len(x), float(x.sum() / y.sum())
    if n < FEWEST:
        return Interval(value, math.nan, math.nan, math.nan, n)
    drawn = np.empty(RESAMPLES)
    rows = max(1, AT_ONCE // n)
    for at in range(0, RESAMPLES, rows):
        which = rng.integers(0, n, (min(rows, RESAMPLES - at), n))
        drawn[at : at + rows] = x[which].sum(axis=1) / np.maximum(y[which].sum(axis=1), 1e-300)
    outward = NORMAL.cdf(-math.sqrt(n / (n - 1)) * t_quantile((1 + LEVEL) / 2, n - 1))
    low, high = np.quantile(drawn, [outward, 1 - outward])
    return Interval(value, float(low), float(high), float(drawn.std() * math.sqrt(n / (n - 1))), n)


def mean(values: Values, clusters: Sequence[object] | None, rng: np.random.Generator) -> Interval:
    """The mean of items, (N,), of which those with one name in `clusters` are alike.

    None: each is a cluster of its own.
    """
    return ratio(*in_clusters(values, clusters), rng)


def in_clusters(
    values: Values, clusters: Sequence[object] | None
) -> tuple[np.ndarray, np.ndarray]:
    """(sums, counts) of the values in each cluster."""
    x = np.asarray(values, np.float64)
    if clusters is None:
        return x, np.ones(len(x))
    numbers: dict[object, int] = {}
    which = [numbers.setdefault(name, len(numbers)) for name in clusters]
    return np.bincount(which, x), np.bincount(which).astype(np.float64)


def share(
    right: Values, clusters: Sequence[object] | None, rng: np.random.Generator
) -> Interval:
    """The share of items that are right.

    Single items: Wilson's score interval (1927), which is never empty, also where all are right.
    Clusters: the bootstrap; where all clusters are alike it says nothing, and Wilson's of so many
    clusters stands instead.
    """
    sums, counts = in_clusters(right, clusters)
    value, n = float(sums.sum() / counts.sum()), len(sums)
    if (counts == 1).all() or (sums == 0).all() or (sums == counts).all():
        return wilson(value, n)
    return ratio(sums, counts, rng)


def wilson(value: float, n: int) -> Interval:
    """The score interval of a share of n independent items (Wilson 1927)."""
    z = NORMAL.inv_cdf((1 + LEVEL) / 2)
    middle = (value + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(value * (1 - value) / n + z * z / (4 * n * n))
    error = math.sqrt(value * (1 - value) / n)
    return Interval(value, max(0.0, middle - half), min(1.0, middle + half), error, n)


def difference(a: Values, b: Values, below: Values, rng: np.random.Generator) -> Difference:
    """b - a, both sums over the same clusters, divided by `below`.

    Each cluster is drawn for both models at once: what makes it hard for both drops out.
    """
    found = ratio(np.asarray(b, np.float64) - np.asarray(a, np.float64), below, rng)
    return Difference(found, detectable(found.error, found.clusters))


def detectable(error: float, clusters: int) -> float:
    """The smallest true difference whose interval leaves out 0 in POWER of all such data.

    error: the difference's standard error.
    """
    if clusters < FEWEST:
        return math.nan
    return (t_quantile((1 + LEVEL) / 2, clusters - 1) + NORMAL.inv_cdf(POWER)) * error


def chance(ways: Values) -> tuple[float, float]:
    """The shares of right answers between which LEVEL of all guessers fall, exactly.

    ways: for each item the probability that a guess is right.  The number of right guesses has the
    Poisson-binomial distribution, made here by adding one item after another.
    """
    known = np.ones(1)
    for p in np.asarray(ways, np.float64):
        known = np.convolve(known, [1 - p, p])
    below = np.cumsum(known)
    tail = (1 - LEVEL) / 2
    low = int(np.searchsorted(below, tail, side="right"))
    high = int(np.searchsorted(below, 1 - tail))
    return low / len(ways), min(high, len(ways)) / len(ways)


@functools.cache
def t_quantile(p: float, freedom: int) -> float:
    """Student's t: the value that `p` of it lies below.  p in (0.5, 1), freedom >= 1.

    With theta = atan(t / sqrt(freedom)) the share between -t and t is a finite sum of powers of
    cos(theta), other ones for odd degrees than for even; it rises with theta, which halving finds.
    Right to 1e-12.  Source: Abramowitz and Stegun 26.7.3 and 26.7.4.
    """
    odd = freedom % 2
    k = np.arange(1, (freedom - odd) // 2)  # each term is the one before times factors[k] cos^2
    factors = 2 * k / (2 * k + 1) if odd else (2 * k - 1) / (2 * k)

    def within(theta: float) -> float:
        terms = math.sin(theta) * (1 + float(np.cumprod(factors * math.cos(theta) ** 2).sum()))
        if freedom == 1:
            return 2 / math.pi * theta
        return 2 / math.pi * (theta + math.cos(theta) * terms) if odd else terms

    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle) < 2 * p - 1 else (low, middle)
    return math.sqrt(freedom) * math.tan(low)
