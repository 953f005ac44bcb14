"""linear_cross_entropy, differentiable.

What it means: kernels/numpy_ref/linear_cross_entropy.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels import active
from minigrad.engine import is_grad_enabled
from minigrad.ops.cross_entropy import flat_targets
from minigrad.ops.dense import dense
from minigrad.tensor import Tensor


def linear_cross_entropy(
    x: Tensor,
    weight: Tensor,
    targets: Any,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    weights: np.ndarray | None = None,
    softcap: float | None = None,
) -> Tensor:
    """cross_entropy(x W^T, targets), and no (rows, V) logits ever.

    x: (..., C), weight: (V, C), targets: (...) integers.  Returns ().
    weights: (...) array, the loss is then the sum of weight times loss over the rows and no mean.
    Constants of any sign (a policy's advantages): no gradient reaches them, which is what
    linear_log_probability is for.
    softcap: logits become cap tanh(logit / cap).
    While a graph is recorded, *forward* computes both gradients too, chunk by chunk while the
    logits are at hand, and keeps them (as large as x and weight); backward only scales them. A
    frozen weight's is left out.
    """
    shape = x.shape
    rows, w = dense(x).reshape(-1, shape[-1]), dense(weight)  # (..., C) -> (R, C)
    t = flat_targets("linear_cross_entropy", targets, shape[:-1])
    flat = _flat_weights(weights, shape[:-1], rows.dtype)
    settings = label_smoothing, ignore_index, flat, softcap
    if not (is_grad_enabled() and (x.requires_grad or weight.requires_grad)):
        return Tensor(np.asarray(active.linear_cross_entropy_forward(rows, w, t, *settings)))
    loss, dx, dweight = active.linear_cross_entropy_gradients(
        rows, w, t, *settings, weight.requires_grad
    )

    # It runs once, so the saved gradients may be scaled in place.
    def backward(dy: np.ndarray) -> tuple[np.ndarray | None, ...]:
        if dy != 1:
            np.multiply(dx, dy, out=dx)
            if dweight is not None:
                np.multiply(dweight, dy, out=dweight)
        return dx.reshape(shape), dweight

    return Tensor(np.asarray(loss), (x, weight), backward)


def _flat_weights(
    weights: np.ndarray | None, rows: tuple[int, ...], dtype: np.dtype
) -> np.ndarray | None:
    """Weights of the rows' shape as one axis of x's dtype, or None."""
    if weights is None:
        return None
    if isinstance(weights, Tensor):
        raise TypeError("linear_cross_entropy: weights have no gradient; pass weights.data")
    w = np.asarray(weights, dtype)
    if w.shape != rows:
        raise ValueError(
            f"linear_cross_entropy: weights {w.shape} must have the rows' shape {rows}"
        )
    return np.ascontiguousarray(w.reshape(-1))
