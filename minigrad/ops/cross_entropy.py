"""cross_entropy, differentiable.  What it means: kernels/numpy_ref/cross_entropy.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels import active
from minigrad.ops.dense import dense
from minigrad.tensor import Tensor, plain


def cross_entropy(
    logits: Tensor, targets: Any, label_smoothing: float = 0.0, ignore_index: int | None = None
) -> Tensor:
    """Mean cross entropy, nats per counted target.

    logits: (..., V); targets: (...) integers (Tensor or array).  Rows whose target is ignore_index
    do not count.  Returns ().  In training prefer linear_cross_entropy: no logits at all.
    """
    shape = logits.shape
    u = dense(logits).reshape(-1, shape[-1])  # (..., V) -> (R, V)
    t = flat_targets("cross_entropy", targets, shape[:-1])
    loss, lse = active.cross_entropy_forward(u, t, label_smoothing, ignore_index)

    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        dlogits = active.cross_entropy_backward(dy, u, t, lse, label_smoothing, ignore_index)
        return (dlogits.reshape(shape),)

    return Tensor(np.asarray(loss), (logits,), backward)


def flat_targets(op: str, targets: Any, rows: tuple[int, ...]) -> np.ndarray:
    """Integer targets of the rows' shape as one axis; a copy, for the caller may change his."""
    t = np.array(plain(targets), order="C")
    if t.shape != rows:
        raise ValueError(f"{op}: targets {t.shape} must have the rows' shape {rows}")
    return t.reshape(-1)
