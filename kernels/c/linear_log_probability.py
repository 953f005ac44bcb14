"""Log probabilities of targets, by linear_cross_entropy.c: its losses, and its gradients weighted.

Derived in numpy_ref/linear_log_probability.py.
"""

import numpy as np

from kernels import checks
from kernels.c.library import contiguous
from kernels.c.linear_cross_entropy import linear_cross_entropy_gradients, row_losses


def linear_log_probability_forward(x, weight, targets):
    """As numpy_ref.linear_log_probability_forward, float32."""
    checks.linear_log_probability(x, weight, targets)
    x, weight = (contiguous("linear_log_probability", array) for array in (x, weight))
    return -row_losses(x, weight, np.ascontiguousarray(targets, np.int64))


def linear_log_probability_backward(dy, x, weight, targets):
    """As numpy_ref.linear_log_probability_backward, float32."""
    checks.linear_log_probability(x, weight, targets, dy)
    return linear_cross_entropy_gradients(x, weight, targets, weights=-dy)[1:]
