import numpy as np


def row_losses(logits, targets, label_smoothing=0.0, ignore_index=None):
    keep = np.ones(len(targets), bool) if ignore_index is None else targets != ignore_index
    rows = np.flatnonzero(keep)
    lse = np.logaddexp.reduce(logits, axis=-1)
    picked = np.take_along_axis(logits[rows], targets[rows][:, None], axis=1)[:, 0]
    smooth = logits.dtype.type(label_smoothing)
    average = logits[rows].sum(axis=-1) / logits.dtype.type(logits.shape[1])
    return rows, (lse[rows] - picked) + smooth * (picked - average), lse
