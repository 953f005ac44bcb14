"""linear_log_probability, differentiable.

What it means: kernels/numpy_ref/linear_log_probability.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels import active
from minigrad.ops.cross_entropy import flat_targets
from minigrad.ops.dense import dense
from minigrad.tensor import Tensor


def linear_log_probability(
    x: Tensor, weight: Tensor, targets: Any, softcap: float | None = None
) -> Tensor:
    """log softmax(x W^T) at each row's target, and no (rows, V) logits ever.

    x: (..., C), weight: (V, C), targets: (...) integers.  Returns (...), nats, none above 0.
    softcap: logits become cap tanh(logit / cap).
    Saved: x and weight; backward computes the logits again, chunk by chunk.
    """
    shape = x.shape
    rows, w = dense(x).reshape(-1, shape[-1]), dense(weight)  # (..., C) -> (R, C)
    t = flat_targets("linear_log_probability", targets, shape[:-1])
    y = active.linear_log_probability_forward(rows, w, t, softcap)

    def backward(dy: np.ndarray) -> tuple[np.ndarray | None, ...]:
        dx, dweight = active.linear_log_probability_backward(
            dy.reshape(-1), rows, w, t, softcap, weight.requires_grad
        )
        return dx.reshape(shape), dweight

    return Tensor(y.reshape(shape[:-1]), (x, weight), backward)
