import math

import numpy as np

from tinygpt.evaluation.intervals import (
    FEWEST,
    LEVEL,
    NORMAL,
    RESAMPLES,
    Interval,
    t_quantile,
)


def ratio(above, below, rng):
    pairs = np.stack([np.asarray(above, float), np.asarray(below, float)])
    n = pairs.shape[1]
    if not n or pairs[1].sum() <= 0:
        raise ValueError("ratio: nothing to divide")
    top, bottom = pairs.sum(axis=1)
    if n < FEWEST:
        return Interval(top / bottom, math.nan, math.nan, math.nan, n)
    sums = pairs[:, rng.integers(0, n, (RESAMPLES, n))].sum(axis=-1)
    values = sums[0] / sums[1]
    tail = NORMAL.cdf(-math.sqrt(n / (n - 1)) * t_quantile((1 + LEVEL) / 2, n - 1))
    ends = np.quantile(values, (tail, 1 - tail))
    return Interval(top / bottom, ends[0], ends[1], values.std() * math.sqrt(n / (n - 1)), n)
