"""Cross entropy in Numba; derived in numpy_ref/cross_entropy.py.  Also written in:
c/cross_entropy.c.  A row's two sweeps (maximum, sum of exponentials) find it in the cache.
"""

import math

import numpy as np

from kernels import checks, contracts, memory
from kernels.numba_jit.jit import parallel, prange
from kernels.numba_jit.vector_math import exp, row_max

ZERO = np.float32(0)


def cross_entropy_forward(logits, targets, label_smoothing=0.0, ignore_index=None):
    """As numpy_ref.cross_entropy_forward, float32; the rows' losses are added in float64."""
    (logits, targets), (_, size) = contracts.cross_entropy_forward.ready(logits, targets)
    checks.smoothing(label_smoothing)
    targets, counted = counted_targets("cross_entropy", targets, size, ignore_index)
    losses, lse = memory.empty(targets.shape), memory.empty(targets.shape)
    forward(logits, targets, np.float32(label_smoothing), losses, lse)
    return np.asarray(losses.sum(dtype=np.float64) / max(counted, 1), np.float32), lse


def cross_entropy_backward(dloss, logits, targets, lse, label_smoothing=0.0, ignore_index=None):
    """As numpy_ref.cross_entropy_backward, float32."""
    contract = contracts.cross_entropy_backward
    (logits, targets, lse), (_, size) = contract.ready(logits, targets, lse)
    checks.smoothing(label_smoothing)
    targets, counted = counted_targets("cross_entropy", targets, size, ignore_index)
    dlogits = memory.empty(logits.shape)
    scale = np.float32(float(dloss) / max(counted, 1))
    backward(logits, targets, lse, np.float32(label_smoothing), scale, dlogits)
    return dlogits


def counted_targets(op, targets, size, ignore_index):
    """(targets as int64 with -1 where they equal ignore_index, how many do not).

    Raises IndexError for another one outside [0, size).
    """
    checks.ids(op, targets, size, ignore_index)
    if ignore_index is None:
        return checks.int64(targets), len(targets)
    counted = targets != ignore_index
    return np.where(counted, targets, -1).astype(np.int64), int(counted.sum())


@parallel
def forward(logits, targets, smoothing, losses, lse):
    """Fill losses and lse, both (R,); a row with a negative target has loss 0."""
    rows, size = logits.shape
    for r in prange(rows):
        peak = row_max(logits[r])
        total = ZERO
        for j in range(size):
            total += exp(logits[r, j] - peak)
        lse[r] = np.float32(math.log(total)) + peak
        loss = ZERO
        if targets[r] >= 0:
            loss = lse[r] - (np.float32(1) - smoothing) * logits[r, targets[r]]
            if smoothing > 0:
                total = ZERO
                for j in range(size):
                    total += logits[r, j]
                loss -= smoothing * total / np.float32(size)
        losses[r] = loss


@parallel
def backward(logits, targets, lse, smoothing, scale, dlogits):
    """dlogits = scale (softmax - target distribution), 0 in rows that do not count.

    dlogits may be logits itself.
    """
    rows, size = logits.shape
    for r in prange(rows):
        if targets[r] < 0:
            for j in range(size):
                dlogits[r, j] = ZERO
        else:
            uniform = smoothing / np.float32(size)
            for j in range(size):
                dlogits[r, j] = (exp(logits[r, j] - lse[r]) - uniform) * scale
            dlogits[r, targets[r]] -= (np.float32(1) - smoothing) * scale
