import numpy as np


def krippendorff(items):
    names = sorted({mark for marks in items for mark in marks})
    table = np.array([[marks.count(name) for name in names] for marks in items], float)
    table = table.reshape(len(items), len(names))
    table = table[table.sum(axis=1) > 1]
    sizes, used = table.sum(axis=1), table.sum(axis=0)
    n = sizes.sum()
    expected = n**2 - (used**2).sum()
    if not expected:
        return float("nan")
    observed = ((sizes**2 - (table**2).sum(axis=1)) / (sizes - 1)).sum()
    return float(1 - (n - 1) * observed / expected)
