"""Softmax over the last axis: scores become probabilities.

Also written in: numba_jit/softmax.py, c/softmax.c.  Used by: minigrad/ops/softmax.py.
"""

import numpy as np

from kernels import contracts


def softmax_forward(x):
    """Softmax over the last axis, shifted by the row maximum so that exp cannot overflow.

    x: (..., V) float.  Returns y, same shape and dtype, rows summing to 1.
    A row of only -inf returns zeros (a query with every key masked).
    Raises TypeError for integer input.  Source: Bridle 1990.
    """
    contracts.softmax_forward.check(x)
    if x.size == 0:
        return np.empty_like(x)
    peak = x.max(axis=-1, keepdims=True)  # (..., 1)
    # softmax(x) = softmax(x - c) for any c. An all-masked row has c = -inf, and -inf - -inf is nan.
    e = np.exp(x - np.where(np.isneginf(peak), 0, peak))
    total = e.sum(axis=-1, keepdims=True)  # (..., 1)
    return e / np.where(total == 0, 1, total)


def softmax_backward(dy, y):
    """Gradient of softmax_forward.

    dy, y: (..., V) float; y is what forward returned, the only thing saved (it stands in for x
    because the derivative is a function of y alone).  Returns dx (..., V).
    """
    contracts.softmax_backward.check(dy, y)
    # y_i = exp(x_i) / s   =>   dy_i/dx_j = y_i (delta_ij - y_j)
    # dx_j = sum_i dy_i y_i (delta_ij - y_j) = y_j (dy_j - sum_i dy_i y_i)
    row = (dy * y).sum(axis=-1, keepdims=True)  # (..., 1)
    return y * (dy - row)
