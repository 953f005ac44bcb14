import numpy as np

from kernels import contracts


def softmax_forward(x):
    contracts.softmax_forward.check(x)
    if not x.size:
        return x.copy()
    y = np.zeros_like(x)
    for place in np.ndindex(x.shape[:-1]):
        row = x[place]
        top = row.max()
        if top > -np.inf:
            e = np.exp(row - top)
            y[place] = e / e.sum()
    return y
