"""The Python side of linear_cross_entropy.c: check, lend it room for a chunk of logits, call."""

import numpy as np

from kernels import checks, contracts, memory
from kernels.c import ids, library
from kernels.c.library import pointer, pointer_or_null
from kernels.c.matmul import scratch

CHUNK = 1 << 20  # numbers in a chunk of logits, 4 MB: 256 rows at V = 4096, 3 % off all at once
MOST_ROWS = 2048  # in a chunk, where the vocabulary is small
# In a chunk beside a frozen table, where it is large: at V = 49152 85 rows take 0.53 of the time of
# 21. (What a table's own gradient is summed from stays as it was: bytes of runs depend on it.)
FROZEN_ROWS = 96


def linear_cross_entropy_forward(
    x, weight, targets, label_smoothing=0.0, ignore_index=None, weights=None, softcap=None
):
    """As numpy_ref.linear_cross_entropy_forward, float32."""
    arguments = _checked(x, weight, targets, label_smoothing, ignore_index, weights, softcap)
    return _run(*arguments, label_smoothing, softcap, None, None)


def linear_cross_entropy_gradients(
    x, weight, targets, label_smoothing=0.0, ignore_index=None, weights=None, softcap=None,
    wants_weight=True,
):
    """As numpy_ref.linear_cross_entropy_gradients, float32."""
    arguments = _checked(x, weight, targets, label_smoothing, ignore_index, weights, softcap)
    dx, dweight = memory.empty(x.shape), memory.empty(weight.shape) if wants_weight else None
    if not len(x) and wants_weight:
        dweight[...] = 0
    return _run(*arguments, label_smoothing, softcap, dx, dweight), dx, dweight


def _checked(x, weight, targets, label_smoothing, ignore_index, weights, softcap):
    """(x, weight, weights, targets for C, how many rows count)."""
    contract = contracts.linear_cross_entropy
    (x, weight, targets, weights), _ = contract.ready(x, weight, targets, weights)
    checks.smoothing(label_smoothing)
    checks.softcap(softcap)
    wide = ids.checked_targets("linear_cross_entropy", targets, len(weight), ignore_index)
    return x, weight, weights, *wide


def _run(x, weight, weights, targets, counted, label_smoothing, softcap, dx, dweight):
    """The loss; dx and dweight are filled unless None."""
    scale = 1 / max(counted, 1) if weights is None else 1
    losses = row_losses(x, weight, targets, weights, label_smoothing, scale, softcap, dx, dweight)
    if weights is None:
        return np.asarray(losses.sum(dtype=np.float64) / max(counted, 1), np.float32)
    return np.asarray(weights.astype(np.float64) @ losses, np.float32)


def row_losses(
    x, weight, targets, weights=None, smoothing=0.0, scale=1.0, softcap=None, dx=None, dweight=None
):
    """(R,) losses, without weights; dx and dweight, with weights and scale, are filled unless None.

    x, weight, weights: C-contiguous float32; targets: as ids.py makes them.
    """
    (rows, width), size = x.shape, len(weight)
    least = 1 if dx is None or dweight is not None else FROZEN_ROWS
    chunk = max(1, min(max(CHUNK // max(size, 1), least), MOST_ROWS, rows))
    losses, logits = memory.empty((rows,)), memory.empty((chunk, size))
    library.lib.linear_cross_entropy(
        pointer(x), pointer(weight), ids.pointer(targets), pointer_or_null(weights), smoothing,
        scale, softcap or 0, pointer(losses), pointer_or_null(dx), pointer_or_null(dweight),
        pointer(logits), scratch(), rows, width, size, chunk,
    )
    return losses
