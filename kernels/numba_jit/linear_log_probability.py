"""Log probabilities of targets in Numba; derived in numpy_ref/linear_log_probability.py.

Also written in: c/linear_log_probability.py.
"""

from kernels import checks, contracts
from kernels.numba_jit.linear_cross_entropy import linear_cross_entropy_gradients, row_losses

_ready = contracts.linear_log_probability.ready


def linear_log_probability_forward(x, weight, targets, softcap=None):
    """As numpy_ref.linear_log_probability_forward, float32."""
    (x, weight, targets, _), (*_, size) = _ready(x, weight, targets, None)
    checks.ids("linear_log_probability", targets, size)
    checks.softcap(softcap)
    return -row_losses(x, weight, checks.int64(targets), softcap=softcap)


def linear_log_probability_backward(
    dy, x, weight, targets, softcap=None, wants_weight=True
):
    """As numpy_ref.linear_log_probability_backward, float32."""
    (x, weight, targets, dy), (*_, size) = _ready(x, weight, targets, dy)
    checks.ids("linear_log_probability", targets, size)
    return linear_cross_entropy_gradients(
        x, weight, targets, weights=-dy, softcap=softcap, wants_weight=wants_weight
    )[1:]
