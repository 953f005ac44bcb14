"""Output projection and cross entropy as one operation, in chunks of rows.

At vocabulary V the logits of a batch take 4 R V bytes, more than all else in a small model. A row's
loss needs only its own logits, so they are made, used and dropped a chunk of rows at a time.

Also written in: numba_jit/linear_cross_entropy.py, c/linear_cross_entropy.c.
"""

import numpy as np

from kernels import checks, contracts
from kernels.numpy_ref.cross_entropy import (
    cross_entropy_backward,
    cross_entropy_forward,
    row_losses,
)

CHUNK = 256  # rows; (CHUNK, V) logits are alive at a time


def linear_cross_entropy_forward(
    x, weight, targets, label_smoothing=0.0, ignore_index=None, weights=None, softcap=None
):
    """cross_entropy(x W^T, targets), for when no gradient is wanted.

    x: (R, C), weight: (V, C) float; targets: (R,) int.  Returns loss ().
    weights: (R,) of x's dtype: the loss is sum_r weights_r loss_r over the rows that count, and no
    mean. Any sign: an advantage in a policy gradient, 0 for what is not to be learned.
    softcap: logits become cap tanh(logit / cap), none beyond +-cap (Gemma Team 2024).
    Smoothing, ignore_index and errors as in cross_entropy_forward.
    """
    _check(x, weight, targets, label_smoothing, ignore_index, weights, softcap)
    total, counted = 0.0, _count(targets, ignore_index)
    for rows in chunks(len(x)):
        logits = capped(x[rows] @ weight.T, softcap)  # (chunk, V)
        settings = (label_smoothing, ignore_index)
        if weights is None:
            loss, _ = cross_entropy_forward(logits, targets[rows], *settings)
            total += float(loss) * _count(targets[rows], ignore_index)
        else:
            total += _weighted_loss(weights[rows], logits, targets[rows], *settings)[0]
    return np.asarray(total / max(counted, 1) if weights is None else total, dtype=x.dtype)


def linear_cross_entropy_gradients(
    x, weight, targets, label_smoothing=0.0, ignore_index=None, weights=None, softcap=None,
    wants_weight=True,
):
    """The loss and both its gradients, in one pass over the logits.

    Arguments as in linear_cross_entropy_forward.
    wants_weight: whether the table learns; a frozen one's gradient is a third of the work here.
    Returns (loss, dx, dweight): loss (), dx (R, C), dweight (V, C) or None, for dloss = 1.
    The gradients are the saved state: 4 (R C + V C) bytes. Saving nothing would cost a second
    product with the vocabulary in backward, saving the logits 4 R V bytes.
    Source: the chunked form, Hsu et al. 2024 (Liger kernels).
    """
    _check(x, weight, targets, label_smoothing, ignore_index, weights, softcap)
    dx, dweight = np.empty_like(x), np.zeros_like(weight) if wants_weight else None
    total, counted = 0.0, max(_count(targets, ignore_index), 1)
    for rows in chunks(len(x)):
        logits = capped(x[rows] @ weight.T, softcap)  # (chunk, V)
        settings, count = (label_smoothing, ignore_index), _count(targets[rows], ignore_index)
        if weights is None:
            loss, lse = cross_entropy_forward(logits, targets[rows], *settings)
            # The chunk's loss is a mean over its own rows: weigh it by their share of all rows.
            total += float(loss) * (count / counted)
            dlogits = cross_entropy_backward(count / counted, logits, targets[rows], lse, *settings)
        else:
            loss, lse = _weighted_loss(weights[rows], logits, targets[rows], *settings)
            total += loss
            # L = sum_r w_r loss_r   =>   dL/dlogits_r = w_r dloss_r/dlogits_r,
            # and a dloss of `count` undoes the mean that backward is about
            dlogits = cross_entropy_backward(count, logits, targets[rows], lse, *settings)
            dlogits *= weights[rows, None]
        if softcap is not None:
            # z = c tanh(u / c)   =>   dz/du = 1 - tanh^2 = 1 - (z / c)^2
            dlogits *= 1 - (logits / logits.dtype.type(softcap)) ** 2
        # logits = x W^T   =>   dx = dlogits W,   dW = sum over chunks of dlogits^T x
        dx[rows] = dlogits @ weight
        if wants_weight:
            dweight += dlogits.T @ x[rows]
    return np.asarray(total, dtype=x.dtype), dx, dweight


def capped(logits, softcap):
    """softcap tanh(logits / softcap), or the logits themselves where it is None."""
    if softcap is None:
        return logits
    cap = logits.dtype.type(softcap)
    return cap * np.tanh(logits / cap)


def _check(x, weight, targets, label_smoothing, ignore_index, weights, softcap):
    contracts.linear_cross_entropy.check(x, weight, targets, weights)
    checks.smoothing(label_smoothing)
    checks.softcap(softcap)
    checks.ids("linear_cross_entropy", targets, len(weight), ignore_index)


def _weighted_loss(weights, logits, targets, *settings):
    """(sum_r weights_r loss_r in float64, lse)."""
    rows, losses, lse = row_losses(logits, targets, *settings)
    return float(weights[rows].astype(np.float64) @ losses), lse


def chunks(rows):
    """Slices of at most CHUNK rows, in their order."""
    return [slice(i, min(i + CHUNK, rows)) for i in range(0, rows, CHUNK)]


def _count(targets, ignore_index):
    return len(targets) if ignore_index is None else int((targets != ignore_index).sum())
