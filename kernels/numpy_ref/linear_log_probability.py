"""The log probability that a model gives each target: the loss of each row with a minus.

Policy gradients and preference losses are functions of it. As in linear_cross_entropy.py the (R, V)
logits never exist whole.

Also written in: numba_jit/linear_log_probability.py, c/linear_log_probability.py.
"""

import numpy as np

from kernels import checks, contracts
from kernels.numpy_ref.cross_entropy import row_losses
from kernels.numpy_ref.linear_cross_entropy import (
    capped,
    chunks,
    linear_cross_entropy_gradients,
)


def linear_log_probability_forward(x, weight, targets, softcap=None):
    """log softmax(x W^T)[target], nats, for each row.

    x: (R, C), weight: (V, C) float; targets: (R,) int.  Returns (R,) of x's dtype.
    softcap: as in linear_cross_entropy_forward.
    Raises IndexError for a target outside [0, V).
    """
    contracts.linear_log_probability.check(x, weight, targets, None)
    checks.ids("linear_log_probability", targets, len(weight))
    checks.softcap(softcap)
    y = np.empty(len(x), x.dtype)
    for rows in chunks(len(x)):
        _, losses, _ = row_losses(capped(x[rows] @ weight.T, softcap), targets[rows])
        y[rows] = -losses
    return y


def linear_log_probability_backward(
    dy, x, weight, targets, softcap=None, wants_weight=True
):
    """Gradients of linear_log_probability_forward.

    dy: (R,); the rest as given to forward.  Returns (dx, dweight): (R, C), (V, C)
    or None if it is not wanted.
    Nothing is saved but the arguments. A loss's one dy only scales its gradients, so forward can
    make them; here every row has a dy of its own that forward does not know. So the logits are
    made again, R V C multiply-adds, rather than kept, 4 R V bytes.
    """
    contracts.linear_log_probability.check(x, weight, targets, dy)
    checks.ids("linear_log_probability", targets, len(weight))
    # y_r = -loss_r   =>   sum_r dy_r y_r = sum_r (-dy_r) loss_r: cross entropy with weights -dy
    return linear_cross_entropy_gradients(
        x, weight, targets, weights=-dy, softcap=softcap, wants_weight=wants_weight
    )[1:]
