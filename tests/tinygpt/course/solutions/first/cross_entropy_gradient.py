import numpy as np


def cross_entropy_backward(dloss, logits, targets, lse, label_smoothing=0.0, ignore_index=None):
    counted = np.ones(len(targets), bool) if ignore_index is None else targets != ignore_index
    V = logits.shape[1]
    wanted = np.eye(V)[np.where(counted, targets, 0)] * (1 - label_smoothing) + label_smoothing / V
    grad = (np.exp(logits - lse[:, None]) - wanted) * counted[:, None]
    return (grad * float(dloss) / max(counted.sum(), 1)).astype(logits.dtype)
