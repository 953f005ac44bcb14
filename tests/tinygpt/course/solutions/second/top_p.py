import numpy as np


def top_p(w, p):
    order = np.argsort(-w, kind="stable")
    reached = np.cumsum(w[order], dtype=np.float64) >= p * w.sum(dtype=np.float64)
    last = reached.argmax() if reached.any() else len(w) - 1
    return w[order[last]]
