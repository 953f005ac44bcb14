"""AdamW: one step of a list of arrays, and the sum of squares that gradient clipping needs.

Both take all arrays of a parameter group at once: a model has dozens, most of them small, and what
a call costs beside its arithmetic is then paid once.

Also written in: numba_jit/adamw.py, c/adamw.c.  Used by: minigrad/optim/adamw.py.
"""

import math

import numpy as np

from kernels import checks, contracts


def adamw_update(
    params, grads, ms, vs, *, lr, beta1, beta2, eps, weight_decay, step, grad_scale=1.0
):
    """One AdamW step, in place on params, ms and vs.

    params, grads, ms, vs: lists of equal length; the four arrays at one place have one shape and
    float dtype.  params, ms and vs are written: contiguous, and none shares memory with another
    array of the lists (ValueError).  step: 1 for the first step.
    lr: learning rate; weight_decay: decoupled, per unit of lr; grad_scale: a factor on grads (the
    clipping factor), folded in so that a gradient is read once and never written.
    Source: Loshchilov and Hutter 2019, algorithm 2; Kingma and Ba 2015 for the bias corrections.
    """
    checks.step("adamw", step)
    for row in zip(params, grads, ms, vs, strict=True):
        contracts.adamw.check(*row)
    grads = [np.asarray(grad, order="C") for grad in grads]
    check_apart(params, grads, ms, vs)
    for param, grad, m, v in zip(params, grads, ms, vs, strict=True):
        _step(param, grad, m, v, lr, beta1, beta2, eps, weight_decay, step, grad_scale)


def check_apart(params, grads, ms, vs):
    """Raise ValueError if a param, m or v shares memory with another array of the four lists."""
    checks.lists_apart("adamw", {"params": params, "ms": ms, "vs": vs}, {"grads": grads})


def _step(param, grad, m, v, lr, beta1, beta2, eps, weight_decay, step, grad_scale):
    """The rule for one array."""
    g = grad * param.dtype.type(grad_scale)
    m += (g - m) * param.dtype.type(1 - beta1)
    v += (g * g - v) * param.dtype.type(1 - beta2)
    # m and v start at zero and are too small by (1 - beta^step): the corrections undo that.
    m_hat = m / param.dtype.type(1 - beta1**step)
    v_hat = v / param.dtype.type(1 - beta2**step)
    param *= param.dtype.type(1 - lr * weight_decay)
    param -= param.dtype.type(lr) * m_hat / (np.sqrt(v_hat) + param.dtype.type(eps))


def factors(lr, beta1, beta2, eps, weight_decay, step, grad_scale):
    """What the fast versions' loops multiply by: the same rule with the corrections pulled out.

        param = decay param - rate m / (sqrt(v) root_correction + eps)

    Returns (grad_scale, 1 - beta1, 1 - beta2, decay, rate, root_correction, eps), Python floats.
    """
    rate, root_correction = lr / (1 - beta1**step), 1 / math.sqrt(1 - beta2**step)
    return grad_scale, 1 - beta1, 1 - beta2, 1 - lr * weight_decay, rate, root_correction, eps


def sum_of_squares(arrays):
    """sum(x^2) over all numbers of a list of float arrays, as a Python float, added in float64."""
    for x in arrays:
        contracts.sum_of_squares.check(x)
    return float(sum(np.sum(np.square(x, dtype=np.float64)) for x in arrays))
