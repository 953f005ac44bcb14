import numpy as np


def _score(statistics, effective):
    length, wanted = statistics[0], statistics[1]
    both, own = np.array(statistics[2:], float).reshape(-1, 2).T
    if not both.sum():
        return 0.0
    known = own > 0
    if not known.all() and not effective:
        return 0.0
    both, own = both[known], own[known]
    zero = both == 0
    both = np.where(zero, 0.5 ** np.cumsum(zero), both)
    mean = np.exp(np.log(100 * both / own).mean())
    return float(mean * np.exp(min(0.0, 1 - wanted / length)))
