import numpy as np


def jaccard(a, b):
    if not len(a) and not len(b):
        return 1.0
    both = len(np.intersect1d(a, b, assume_unique=True))
    return both / len(np.union1d(a, b))
