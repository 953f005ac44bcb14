import math

from tinygpt.evaluation.intervals import LEVEL, NORMAL, Interval


def wilson(value, n):
    # (value - p)^2 = z^2 p (1 - p) / n, solved for p
    z = NORMAL.inv_cdf(1 - (1 - LEVEL) / 2)
    a, b, c = n + z**2, -(2 * n * value + z**2), n * value**2
    root = math.sqrt(max(0.0, b * b - 4 * a * c))
    low, high = (-b - root) / (2 * a), (-b + root) / (2 * a)
    low, high = max(low, 0.0), min(high, 1.0)
    return Interval(value, low, high, math.sqrt(value * (1 - value) / n), n)
