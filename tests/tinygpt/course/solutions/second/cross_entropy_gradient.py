import numpy as np

from kernels.numpy_ref.cross_entropy import _counted


def cross_entropy_backward(dloss, logits, targets, lse, label_smoothing=0.0, ignore_index=None):
    rows, chosen = _counted(targets, ignore_index)
    grad = np.zeros_like(logits)
    share = float(dloss) / max(len(rows), 1)
    for row, target in zip(rows, chosen, strict=True):
        p = np.exp(logits[row] - lse[row])
        p -= label_smoothing / len(p)
        p[target] -= 1 - label_smoothing
        grad[row] = p * share
    return grad
