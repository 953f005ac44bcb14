"""Log probabilities of targets in Numba; derived in numpy_ref/linear_log_probability.py.

Also written in: c/linear_log_probability.py.
"""

import numpy as np

from kernels import checks
from kernels.numba_jit.linear_cross_entropy import linear_cross_entropy_gradients, row_losses


def linear_log_probability_forward(x, weight, targets):
    """As numpy_ref.linear_log_probability_forward, float32."""
    checks.linear_log_probability(x, weight, targets)
    return -row_losses(x, weight, np.ascontiguousarray(targets, np.int64))


def linear_log_probability_backward(dy, x, weight, targets):
    """As numpy_ref.linear_log_probability_backward, float32."""
    checks.linear_log_probability(x, weight, targets, dy)
    return linear_cross_entropy_gradients(x, weight, targets, weights=-dy)[1:]
