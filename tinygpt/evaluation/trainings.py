"""How sure a number is of a recipe, and not of one model: its witnesses are trainings.

    found = of_trainings([0.513, 0.511, 0.473])     each training was asked items of its own
    found = of_items_too(above, below)              all were asked the same; above: (k, n)

An interval over items says where one model's number would lie if other items were asked. Trained
once more from another seed the recipe makes another model, and how far apart the two are no item of
the first one knows: three trainings of `bench planted` put "her" at 51.3, 51.1 and 47.3 %, each
with an interval of about a point to either side, where 50 was planted (bench/LOG.md, 2026-11-28).

**Items of their own.** Training i shows  y_i = m + T_i + e_i  of the recipe's m, the luck T_i of
its seed and that of its items e_i, all independent. Then var(mean) = (var T + var e) / k, and the
spread s^2 = sum (y_i - mean)^2 / (k - 1) estimates var T + var e as it stands: the items' noise is
in it and need not be known. (mean - m) / (s / sqrt(k)) has Student's t with k - 1 degrees of
freedom (Student 1908): three trainings take 4.30 of their errors on each side, five take 2.78.

**The same items for all.**  z_ij = m + T_i + C_j + X_ij: an item that is hard is hard for all
trainings, and C_j does not fall out of their spread. With the mean squares of a table of two ways,

    T  n sum_i (z_i. - z..)^2 / (k - 1)                           expected  n var T + var X
    C  k sum_j (z_.j - z..)^2 / (n - 1)                                     k var C + var X
    X  sum_ij (z_ij - z_i. - z_.j + z..)^2 / ((k - 1) (n - 1))              var X

    var(mean) = var T / k + var C / n + var X / (k n)  is expected of  (T + C - X) / (k n).

V = T + C - X, but at least the greater of T and C: by bad luck X takes away more than it added. T
has k - 1 degrees of freedom, C has n - 1, and half the interval is the mean of their two quantiles,
weighed by T and C, times the error (Cochran 1964). Where an item's luck with one training is all
there is (var T = var C = 0) it is too wide and covers 98 to 99 %; in what else was tried, 93 to 98.

Read first: intervals.py. Read next: results.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tinygpt.errors import UserError
from tinygpt.evaluation.intervals import (
    FEWEST,
    LEVEL,
    NORMAL,
    POWER,
    Difference,
    Interval,
    Values,
    alone,
    t_quantile,
    wilson,
)
from tinygpt.evaluation.results import Pair, Results
from tinygpt.storage.paths import shown


def of_trainings(values: Values, share: bool = False) -> Interval:
    """The mean of k trainings, each a number of items of its own.

    share: it lies in 0 to 1. Where all are 0 or all are 1 their spread says nothing, and Wilson's
    interval of k witnesses stands instead.
    With fewer than FEWEST trainings the bounds are nan.
    """
    y = np.asarray(values, np.float64)
    k, value = len(y), float(y.mean())
    if k < FEWEST:
        return alone(value)._replace(clusters=k)
    if share and value in (0.0, 1.0):
        return wilson(value, k)
    error = float(y.std(ddof=1)) / math.sqrt(k)
    found = Interval(value, value - _t(k - 1) * error, value + _t(k - 1) * error, error, k)
    return _clipped(found) if share else found


def of_items_too(above: Values, below: Values, share: bool = False) -> Interval:
    """sum(above) / sum(below) over trainings that were all asked the same n clusters of items.

    above: (k, n), for each training a number of each cluster, bits or right answers.  below: (n,),
    its bytes or items.  share: as of of_trainings, with the fewer of k and n for witnesses.
    With fewer than FEWEST trainings or clusters the bounds are nan.
    """
    x, y = np.asarray(above, np.float64), np.asarray(below, np.float64)
    (k, n), value = x.shape, float(x.sum() / (len(x) * y.sum()))
    if min(k, n) < FEWEST:
        return alone(value)._replace(clusters=k)
    if share and value in (0.0, 1.0):
        return wilson(value, min(k, n))
    z = (x - value * y) / y.mean()  # what a cluster moves the ratio, times n: its mean is 0
    rows, columns = z.mean(axis=1, keepdims=True), z.mean(axis=0, keepdims=True)
    trainings = n * float((rows**2).sum()) / (k - 1)
    items = k * float((columns**2).sum()) / (n - 1)
    rest = float(((z - rows - columns) ** 2).sum()) / ((k - 1) * (n - 1))
    squares = max(trainings + items - rest, trainings, items)
    error, both = math.sqrt(squares / (k * n)), trainings + items
    t = (trainings * _t(k - 1) + items * _t(n - 1)) / both if both else 0.0
    found = Interval(value, value - t * error, value + t * error, error, k)
    return _clipped(found) if share else found


def recipes(
    results: Sequence[Sequence[Results]], trainings: Sequence[Sequence[Pair]]
) -> list[Pair]:
    """What was found of A and B, trained several times, as numbers of the two recipes.

    results: A's and B's of each training.  trainings: what `paired` found of them.
    Raises UserError where a model stands there twice, or where they were asked different items.
    """
    for column in zip(*results, strict=True):
        names = [one.header["identity"] for one in column]
        if twice := [one for one, name in zip(column, names, strict=True)
                     if name and names.count(name) > 1]:
            raise UserError(
                f"{shown(twice[0].header['model'])} and {shown(twice[1].header['model'])} are one "
                "model, and no two trainings. Train from another seed (--set training.seed=2)."
            )
    asked = [[(one.header["suite"], one.header["settings"]) for one in both] for both in results]
    sizes = [[pair.below.tolist() for pair in pairs] for pairs in trainings]
    if any(one != asked[0] for one in asked) or any(one != sizes[0] for one in sizes):
        raise UserError(
            "the trainings were not asked the same items. Evaluate all on one suite, with the same "
            "data and seed."
        )
    found = []
    for same in zip(*trainings, strict=True):
        first = same[0]
        a, b = (np.array([one.above[i] for one in same]) for i in (0, 1))
        change = of_items_too(b - a, first.below)
        found.append(first._replace(
            a=of_items_too(a, first.below, first.percent),
            b=of_items_too(b, first.below, first.percent),
            change=Difference(change, _detectable(change)),
        ))
    return found


def _t(freedom: int) -> float:
    return t_quantile((1 + LEVEL) / 2, freedom)


def _detectable(change: Interval) -> float:
    """The smallest true difference that would be seen, as in intervals.py; nan where unknown."""
    if not change.known or not change.error:
        return math.nan
    return (change.high - change.value) + NORMAL.inv_cdf(POWER) * change.error


def _clipped(found: Interval) -> Interval:
    return found._replace(low=max(0.0, found.low), high=min(1.0, found.high))
