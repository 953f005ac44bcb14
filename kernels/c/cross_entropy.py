"""The Python side of cross_entropy.c: check, allocate, call."""

import numpy as np

from kernels import checks, contracts, memory
from kernels.c import ids, library
from kernels.c.library import pointer


def cross_entropy_forward(logits, targets, label_smoothing=0.0, ignore_index=None):
    """As numpy_ref.cross_entropy_forward, float32; the rows' losses are added in float64."""
    (logits, targets), (rows, size) = contracts.cross_entropy_forward.ready(logits, targets)
    checks.smoothing(label_smoothing)
    targets, counted = ids.checked_targets("cross_entropy", targets, size, ignore_index)
    losses, lse = memory.empty((rows,)), memory.empty((rows,))
    library.lib.cross_entropy_forward(
        pointer(logits), ids.pointer(targets), label_smoothing, pointer(losses), pointer(lse),
        rows, size,
    )
    return np.asarray(losses.sum(dtype=np.float64) / max(counted, 1), np.float32), lse


def cross_entropy_backward(dloss, logits, targets, lse, label_smoothing=0.0, ignore_index=None):
    """As numpy_ref.cross_entropy_backward, float32."""
    contract = contracts.cross_entropy_backward
    (logits, targets, lse), (rows, size) = contract.ready(logits, targets, lse)
    checks.smoothing(label_smoothing)
    targets, counted = ids.checked_targets("cross_entropy", targets, size, ignore_index)
    dlogits = memory.empty(logits.shape)
    library.lib.cross_entropy_backward(
        pointer(logits), ids.pointer(targets), pointer(lse), label_smoothing,
        float(dloss) / max(counted, 1), pointer(dlogits), rows, size,
    )
    return dlogits
