"""Log probabilities of targets, by linear_cross_entropy.c: its losses, and its gradients weighted.

Derived in numpy_ref/linear_log_probability.py.
"""

from kernels import checks, contracts
from kernels.c import ids
from kernels.c.linear_cross_entropy import linear_cross_entropy_gradients, row_losses


def linear_log_probability_forward(x, weight, targets, softcap=None):
    """As numpy_ref.linear_log_probability_forward, float32."""
    contract = contracts.linear_log_probability
    (x, weight, targets, _), (_, _, size) = contract.ready(x, weight, targets, None)
    checks.softcap(softcap)
    targets = ids.checked("linear_log_probability", targets, size)
    return -row_losses(x, weight, targets, softcap=softcap)


def linear_log_probability_backward(
    dy, x, weight, targets, softcap=None, wants_weight=True
):
    """As numpy_ref.linear_log_probability_backward, float32."""
    contract = contracts.linear_log_probability
    (x, weight, targets, dy), (_, _, size) = contract.ready(x, weight, targets, dy)
    targets = ids.checked("linear_log_probability", targets, size)
    return linear_cross_entropy_gradients(
        x, weight, targets, weights=-dy, softcap=softcap, wants_weight=wants_weight
    )[1:]
