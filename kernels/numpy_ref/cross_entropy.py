"""Cross entropy from logits: how many nats the model needed for the tokens that came.

Also written in: numba_jit/cross_entropy.py, c/cross_entropy.c.  The model uses the version that is
fused with the output projection: linear_cross_entropy.py.
"""

import numpy as np

from kernels import checks, contracts


def cross_entropy_forward(logits, targets, label_smoothing=0.0, ignore_index=None):
    """Mean over rows of -sum_j t_j log softmax(logits)_j, nats per token.

    logits: (R, V) float; targets: (R,) int.  With smoothing a the target distribution is
    t_j = (1 - a) [j = target] + a / V.  Rows whose target is ignore_index are left out of the mean.
    Returns (loss, lse): loss () (0 when no row counts); lse (R,), the log of each row's sum of
    exponentials, saved for backward beside the logits.
    Raises IndexError for a target outside [0, V), ValueError for smoothing outside [0, 1).
    Source: label smoothing, Szegedy et al. 2016.
    """
    _, V = contracts.cross_entropy_forward.check(logits, targets)
    checks.smoothing(label_smoothing)
    checks.ids("cross_entropy", targets, V, ignore_index)
    rows, losses, lse = row_losses(logits, targets, label_smoothing, ignore_index)
    return np.asarray(losses.sum() / max(len(rows), 1), dtype=logits.dtype), lse


def row_losses(logits, targets, label_smoothing=0.0, ignore_index=None):
    """(indices of the rows that count, the loss of each of them, lse of all rows)."""
    peak = logits.max(axis=-1, initial=-np.inf)
    lse = np.log(np.exp(logits - peak[:, None]).sum(axis=-1)) + peak  # (R,)
    rows, chosen = _counted(targets, ignore_index)
    # -sum_j t_j (x_j - lse) = lse - (1 - a) x_target - a mean_j x_j
    losses = lse[rows] - (1 - label_smoothing) * logits[rows, chosen]
    if label_smoothing:
        losses = losses - label_smoothing * logits[rows].mean(axis=-1)
    return rows, losses, lse


def cross_entropy_backward(dloss, logits, targets, lse, label_smoothing=0.0, ignore_index=None):
    """Gradient of cross_entropy_forward.

    dloss: () float; the rest as given to and returned by forward.  Returns dlogits (R, V).
    """
    _, V = contracts.cross_entropy_backward.check(logits, targets, lse)
    checks.smoothing(label_smoothing)
    checks.ids("cross_entropy", targets, V, ignore_index)
    rows, chosen = _counted(targets, ignore_index)
    # d(lse)/dx_j = softmax_j, so dx_j = (softmax_j - t_j) / counted rows
    dlogits = np.exp(logits - lse[:, None]) - logits.dtype.type(label_smoothing / logits.shape[1])
    dlogits[rows, chosen] -= 1 - label_smoothing
    if len(rows) < len(targets):
        dlogits[targets == ignore_index] = 0
    return dlogits * np.asarray(dloss / max(len(rows), 1), dtype=logits.dtype)


def _counted(targets, ignore_index):
    """Indices of the rows that count, and their targets."""
    if ignore_index is None:
        return np.arange(len(targets)), targets
    rows = np.flatnonzero(targets != ignore_index)
    return rows, targets[rows]
