"""GELU: x weighted by (almost) the chance that a standard normal variable lies below it.

Also written in: numba_jit/gelu.py, c/gelu.c, and as an epilogue of `linear`.
"""

import math

import numpy as np

from kernels import contracts

SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
CUBIC = 0.044715


def gelu_with_derivative(x):
    """(gelu(x), gelu'(x)), which share their exponentials.  x: any shape, float."""
    # y     = x/2 (1 + tanh u) = x s,    s = sigmoid(2u) = 1 / (1 + e^-2u),   u = c (x + a x^3)
    # dy/dx = s + x s (1 - s) 2u',       1 - s = sigmoid(-2u),                u' = c (1 + 3 a x^2)
    # Far left 1 + tanh u keeps none of its digits, 1 / (1 + e^-2u) all of them.
    square = x * x
    twice = 2 * SQRT_2_OVER_PI * x * (1 + CUBIC * square)
    with np.errstate(over="ignore"):  # 1 / (1 + inf) = 0 is right
        s, rest = 1 / (1 + np.exp(-twice)), 1 / (1 + np.exp(twice))
    y = x * s
    return y, s + y * rest * (2 * SQRT_2_OVER_PI) * (1 + 3 * CUBIC * square)


def gelu_forward(x):
    """GELU in its tanh form, element by element.

    x: any shape, float.  Returns y, same shape and dtype.
    Raises TypeError for integer input.  Source: Hendrycks and Gimpel 2016; the form GPT-2 uses.
    """
    contracts.gelu_forward.check(x)
    return gelu_with_derivative(x)[0]


def gelu_backward(dy, x):
    """Gradient of gelu_forward.  dy, x: same shape; x is saved, 4 bytes an element.  Returns dx."""
    contracts.gelu_backward.check(dy, x)
    return dy * gelu_with_derivative(x)[1]


_erfc = np.frompyfunc(math.erfc, 1, 1)


def gelu_erf_with_derivative(x):
    """(y, dy/dx) of the exact form, y = x Phi(x), Phi the normal distribution function.

    Phi(x) = erfc(-x / sqrt 2) / 2 keeps its digits far below 0, where 1 + erf has none left.
    """
    # dy/dx = Phi(x) + x Phi'(x),  Phi'(x) = exp(-x^2 / 2) / sqrt(2 pi)
    phi = (_erfc(-x / math.sqrt(2)) / 2).astype(x.dtype)
    bounded = np.clip(x, -1e2, 1e2)  # the density is 0 there, and inf times it would be nan
    density = np.exp(-bounded * bounded / 2) / math.sqrt(2 * math.pi)
    return x * phi, (phi + bounded * density).astype(x.dtype)
