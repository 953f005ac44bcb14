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
    x, y = np.array(above, float), np.array(below, float)
    if len(x) != len(y) or len(x) == 0 or y.sum() <= 0:
        raise ValueError("ratio: nothing to divide")
    n = len(x)
    nan = float("nan")
    if n < FEWEST:
        return Interval(float(x.sum() / y.sum()), nan, nan, nan, n)
    drawn = rng.integers(0, n, (RESAMPLES, n))
    counts = np.stack([np.bincount(row, minlength=n) for row in drawn])
    found = np.sort(counts @ x / (counts @ y))
    wider = math.sqrt(n / (n - 1))
    share = NORMAL.cdf(-wider * t_quantile((1 + LEVEL) / 2, n - 1))
    low, high = np.quantile(found, share), np.quantile(found, 1 - share)
    return Interval(float(x.sum() / y.sum()), float(low), float(high), found.std() * wider, n)
