"""The Python side of linear_cross_entropy.c: chunks of rows, a product, the rows, two products."""

import numpy as np

from kernels import checks, memory
from kernels.c import ids, library
from kernels.c.library import contiguous, pointer

CHUNK = 1 << 21  # numbers in a chunk of logits, 8 MB


def linear_cross_entropy_forward(x, weight, targets, label_smoothing=0.0, ignore_index=None):
    """As numpy_ref.linear_cross_entropy_forward, float32."""
    x, weight, targets, counted = _checked(x, weight, targets, label_smoothing, ignore_index)
    losses, lse = memory.empty(targets.shape), memory.empty(targets.shape)
    for rows, logits in _chunks(x, weight):
        np.matmul(x[rows], weight.T, out=logits)
        library.lib.cross_entropy_forward(
            pointer(logits), ids.pointer(targets[rows]), label_smoothing, pointer(losses[rows]),
            pointer(lse[rows]), *logits.shape,
        )  # fmt: skip
    return _mean(losses, counted)


def linear_cross_entropy_gradients(x, weight, targets, label_smoothing=0.0, ignore_index=None):
    """As numpy_ref.linear_cross_entropy_gradients, float32."""
    x, weight, targets, counted = _checked(x, weight, targets, label_smoothing, ignore_index)
    losses, dx, dweight = memory.empty(targets.shape), memory.empty(x.shape), np.zeros_like(weight)
    for rows, logits in _chunks(x, weight):
        np.matmul(x[rows], weight.T, out=logits)
        library.lib.linear_cross_entropy_rows(
            pointer(logits), ids.pointer(targets[rows]), label_smoothing, 1 / max(counted, 1),
            pointer(losses[rows]), *logits.shape,
        )  # fmt: skip
        np.matmul(logits, weight, out=dx[rows])
        dweight += logits.T @ x[rows]
    return _mean(losses, counted), dx, dweight


def _checked(x, weight, targets, label_smoothing, ignore_index):
    """(x, weight, targets for C, how many rows count)."""
    x, weight = contiguous("linear_cross_entropy", x), contiguous("linear_cross_entropy", weight)
    if x.ndim != 2 or weight.ndim != 2 or x.shape[1] != weight.shape[1] or targets.ndim != 1:
        checks.linear_cross_entropy(x, weight, targets, label_smoothing, ignore_index)
    if len(targets) != len(x) or not 0 <= label_smoothing < 1:
        checks.linear_cross_entropy(x, weight, targets, label_smoothing, ignore_index)
    size = len(weight)
    return x, weight, *ids.checked_targets("linear_cross_entropy", targets, size, ignore_index)


def _chunks(x, weight):
    """For each chunk of rows its slice and room for its logits, the same memory every time."""
    rows = max(1, CHUNK // len(weight))
    logits = memory.empty((min(rows, len(x)), len(weight)))
    for first in range(0, len(x), rows):
        chunk = slice(first, min(first + rows, len(x)))
        yield chunk, logits[: chunk.stop - chunk.start]


def _mean(losses, counted):
    return np.asarray(losses.sum(dtype=np.float64) / max(counted, 1), np.float32)
