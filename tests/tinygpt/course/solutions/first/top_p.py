import numpy as np


def top_p(w, p):
    needed, total = p * w.sum(dtype=np.float64), 0.0
    for weight in sorted(w.tolist(), reverse=True):
        total += weight
        if total >= needed:
            break
    return weight
