import numpy as np

from tinygpt.evaluation.intervals import LEVEL, NORMAL, Interval


def wilson(value, n):
    z = -NORMAL.inv_cdf((1 - LEVEL) / 2)
    share = z * z / n
    variance = value * (1 - value)
    centre = (value + share / 2) / (1 + share)
    width = np.sqrt(share * variance + share**2 / 4) / (1 + share)
    ends = np.clip([centre - width, centre + width], 0, 1)
    return Interval(value, float(ends[0]), float(ends[1]), float(np.sqrt(variance / n)), n)
