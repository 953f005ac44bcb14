import numpy as np


def merged_weight(W, U, A):
    made = W.copy()
    for column, row in zip(U.T, A, strict=True):
        made += np.outer(column, row)
    return made
