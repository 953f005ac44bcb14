"""Output projection and cross entropy in chunks of rows; told in numpy_ref/linear_cross_entropy.py.

NumPy's BLAS multiplies; Numba turns a chunk's logits into their gradient, in place.
Also written in: c/linear_cross_entropy.c.
"""

import numpy as np

from kernels import checks, contracts, memory
from kernels.numba_jit.cross_entropy import backward, counted_targets, forward

CHUNK = 1 << 21  # numbers in a chunk of logits, 8 MB; adding to dweight is small beside its product


def linear_cross_entropy_forward(
    x, weight, targets, label_smoothing=0.0, ignore_index=None, weights=None, softcap=None
):
    """As numpy_ref.linear_cross_entropy_forward, float32."""
    arguments = _checked(x, weight, targets, label_smoothing, ignore_index, weights, softcap)
    x, weight, weights, targets, counted = arguments
    return _loss(row_losses(x, weight, targets, label_smoothing, softcap), counted, weights)


def linear_cross_entropy_gradients(
    x, weight, targets, label_smoothing=0.0, ignore_index=None, weights=None, softcap=None,
    wants_weight=True,
):
    """As numpy_ref.linear_cross_entropy_gradients, float32."""
    arguments = _checked(x, weight, targets, label_smoothing, ignore_index, weights, softcap)
    x, weight, weights, targets, counted = arguments
    losses, lse = memory.empty(targets.shape), memory.empty(targets.shape)
    dx, dweight = memory.empty(x.shape), np.zeros_like(weight) if wants_weight else None
    smoothing = np.float32(label_smoothing)
    scale = np.float32(1 / max(counted, 1) if weights is None else 1)
    for rows, logits in _chunks(x, weight):
        np.matmul(x[rows], weight.T, out=logits)
        _cap(logits, softcap)
        forward(logits, targets[rows], smoothing, losses[rows], lse[rows])
        slope = 1 if softcap is None else 1 - (logits / np.float32(softcap)) ** 2
        backward(logits, targets[rows], lse[rows], smoothing, scale, logits)  # now dlogits
        if softcap is not None:
            logits *= slope
        if weights is not None:
            logits *= weights[rows, None]
        np.matmul(logits, weight, out=dx[rows])
        if wants_weight:
            dweight += logits.T @ x[rows]
    return _loss(losses, counted, weights), dx, dweight


def _checked(x, weight, targets, label_smoothing, ignore_index, weights, softcap):
    """(x, weight, weights, targets for the loops, how many rows count)."""
    contract, op = contracts.linear_cross_entropy, "linear_cross_entropy"
    (x, weight, targets, weights), (*_, size) = contract.ready(x, weight, targets, weights)
    checks.smoothing(label_smoothing)
    checks.softcap(softcap)
    return x, weight, weights, *counted_targets(op, targets, size, ignore_index)


def row_losses(x, weight, targets, label_smoothing=0.0, softcap=None):
    """(R,) losses; targets as counted_targets makes them."""
    losses, lse = memory.empty(targets.shape), memory.empty(targets.shape)
    for rows, logits in _chunks(x, weight):
        np.matmul(x[rows], weight.T, out=logits)
        _cap(logits, softcap)
        forward(logits, targets[rows], np.float32(label_smoothing), losses[rows], lse[rows])
    return losses


def _cap(logits, softcap):
    """logits = softcap tanh(logits / softcap) in place, unless it is None."""
    if softcap is not None:
        cap = np.float32(softcap)
        np.divide(logits, cap, out=logits)
        np.tanh(logits, out=logits)
        np.multiply(logits, cap, out=logits)


def _loss(losses, counted, weights):
    """The rows' losses as one: their mean over the counted, or their weighted sum."""
    if weights is None:
        return np.asarray(losses.sum(dtype=np.float64) / max(counted, 1), np.float32)
    return np.asarray(weights.astype(np.float64) @ losses, np.float32)


def _chunks(x, weight):
    """For each chunk of rows its slice and room for its logits, the same memory every time."""
    rows = max(1, CHUNK // max(len(weight), 1))
    logits = memory.empty((min(rows, len(x)), len(weight)))
    for first in range(0, len(x), rows):
        chunk = slice(first, min(first + rows, len(x)))
        yield chunk, logits[: chunk.stop - chunk.start]
