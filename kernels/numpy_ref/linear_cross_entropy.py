"""Output projection and cross entropy as one operation, in chunks of rows.

At vocabulary V the logits of a batch take 4 R V bytes, more than all else in a small model. A row's
loss needs only its own logits, so they are made, used and dropped a chunk of rows at a time.

Also written in: numba_jit/linear_cross_entropy.py, c/linear_cross_entropy.c.
"""

import numpy as np

from kernels import checks
from kernels.numpy_ref.cross_entropy import cross_entropy_backward, cross_entropy_forward

CHUNK = 256  # rows; (CHUNK, V) logits are alive at a time


def linear_cross_entropy_forward(x, weight, targets, label_smoothing=0.0, ignore_index=None):
    """cross_entropy(x W^T, targets), for when no gradient is wanted.

    x: (R, C), weight: (V, C) float; targets: (R,) int.  Returns loss ().
    Smoothing, ignore_index and errors as in cross_entropy_forward.
    """
    checks.linear_cross_entropy(x, weight, targets, label_smoothing, ignore_index)
    total, counted = 0.0, _count(targets, ignore_index)
    for rows in _chunks(len(x)):
        logits = x[rows] @ weight.T  # (chunk, V)
        loss, _ = cross_entropy_forward(logits, targets[rows], label_smoothing, ignore_index)
        total += float(loss) * _count(targets[rows], ignore_index)
    return np.asarray(total / max(counted, 1), dtype=x.dtype)


def linear_cross_entropy_gradients(x, weight, targets, label_smoothing=0.0, ignore_index=None):
    """The loss and both its gradients, in one pass over the logits.

    Arguments as in linear_cross_entropy_forward.
    Returns (loss, dx, dweight): loss (), dx (R, C), dweight (V, C), for dloss = 1.
    The gradients are the saved state: 4 (R C + V C) bytes. Saving nothing would cost a second
    product with the vocabulary in backward, saving the logits 4 R V bytes.
    Source: the chunked form, Hsu et al. 2024 (Liger kernels).
    """
    checks.linear_cross_entropy(x, weight, targets, label_smoothing, ignore_index)
    dx, dweight = np.empty_like(x), np.zeros_like(weight)
    total, counted = 0.0, max(_count(targets, ignore_index), 1)
    for rows in _chunks(len(x)):
        logits = x[rows] @ weight.T  # (chunk, V)
        settings = (label_smoothing, ignore_index)
        loss, lse = cross_entropy_forward(logits, targets[rows], *settings)
        # The chunk's loss is a mean over its own rows: weigh it by their share of all rows.
        share = _count(targets[rows], ignore_index) / counted
        total += float(loss) * share
        dlogits = cross_entropy_backward(share, logits, targets[rows], lse, *settings)
        # logits = x W^T   =>   dx = dlogits W,   dW = sum over chunks of dlogits^T x
        dx[rows] = dlogits @ weight
        dweight += dlogits.T @ x[rows]
    return np.asarray(total, dtype=x.dtype), dx, dweight


def _chunks(rows):
    return [slice(i, min(i + CHUNK, rows)) for i in range(0, rows, CHUNK)]


def _count(targets, ignore_index):
    return len(targets) if ignore_index is None else int((targets != ignore_index).sum())
