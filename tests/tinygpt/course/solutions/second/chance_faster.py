import math
from collections import Counter

import numpy as np

from tinygpt.evaluation.intervals import LEVEL


def chance(ways):
    known = np.ones(1)
    for p, n in Counter(map(float, ways)).items():
        if p in (0.0, 1.0):
            own = np.zeros(n + 1)
            own[n if p else 0] = 1
        else:
            k = np.arange(n + 1)
            steps = np.cumsum(np.log(np.maximum(k, 1)))
            logs = math.lgamma(n + 1) - steps - steps[::-1]
            own = np.exp(logs + k * math.log(p) + (n - k) * math.log1p(-p))
        known = np.convolve(known, own)
    below = np.cumsum(known)
    tail = (1 - LEVEL) / 2
    low = int(np.searchsorted(below, tail, side="right"))
    high = int(np.searchsorted(below, 1 - tail))
    return low / len(ways), min(high, len(ways)) / len(ways)
