import numpy as np

from kernels.numpy_ref.cross_entropy import _counted


def row_losses(logits, targets, label_smoothing=0.0, ignore_index=None):
    rows, chosen = _counted(targets, ignore_index)
    top = logits.max(axis=1, keepdims=True)
    log_p = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    wanted = np.full_like(logits[rows], label_smoothing / logits.shape[1])
    wanted[np.arange(len(rows)), chosen] += 1 - label_smoothing
    losses = -(wanted * log_p[rows]).sum(axis=1)
    return rows, losses.astype(logits.dtype), (logits - log_p)[:, 0]
