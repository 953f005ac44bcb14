"""GELU in Numba, one pass; derived in numpy_ref/gelu.py.  Also written in: c/gelu.c."""

import numpy as np

from kernels import contracts, memory
from kernels.numba_jit.jit import inline, parallel, prange
from kernels.numba_jit.vector_math import exp

ONE = np.float32(1)
CUT, LARGEST = np.float32(1e4), np.finfo(np.float32).max
TWO_C = np.float32(2 * np.sqrt(2 / np.pi))  # u = c (x + a x^3), and 2 c is what is needed
CUBIC, THREE_CUBIC = np.float32(0.044715), np.float32(3 * 0.044715)


@inline
def gelu_with_derivative(x):
    """(gelu(x), gelu'(x)) of one float32, which share one exp."""
    # (1 + tanh u) / 2 = sigmoid(2u) = s, so  y = x s,  dy/dx = s + x s (1 - s) 2u'
    # With e = exp(-2u), s = 1 / (1 + e) and 1 - s = e s: nothing cancels. From |x| = 100 on s is
    # 0 or 1: x^2 is cut there, so that nothing overflows.
    square = min(x * x, CUT)
    e = exp(-TWO_C * x * (ONE + CUBIC * square))
    s = ONE / (ONE + e)
    y = x * s
    return y, s + y * (min(e, LARGEST) * s) * TWO_C * (ONE + THREE_CUBIC * square)


def gelu_forward(x):
    """As numpy_ref.gelu_forward, float32."""
    (x,), _ = contracts.gelu_forward.ready(x)
    y = memory.empty(x.shape)
    _forward(x.reshape(-1), y.reshape(-1))
    return y


def gelu_backward(dy, x):
    """As numpy_ref.gelu_backward, float32."""
    (dy, x), _ = contracts.gelu_backward.ready(dy, x)
    dx = memory.empty(x.shape)
    _backward(dy.reshape(-1), x.reshape(-1), dx.reshape(-1))
    return dx


@parallel
def _forward(x, y):
    for i in prange(x.size):
        y[i] = gelu_with_derivative(x[i])[0]


@parallel
def _backward(dy, x, dx):
    for i in prange(x.size):
        dx[i] = dy[i] * gelu_with_derivative(x[i])[1]
