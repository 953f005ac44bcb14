import numpy as np


def kappa(pairs):
    if not len(pairs):
        return float("nan")
    names = sorted({mark for pair in pairs for mark in pair})
    table = np.zeros((len(names), len(names)))
    for a, b in pairs:
        table[names.index(a), names.index(b)] += 1
    expected = table.sum(axis=1) @ table.sum(axis=0) / table.sum()
    if expected == len(pairs):
        return float("nan")
    return float((np.trace(table) - expected) / (len(pairs) - expected))
