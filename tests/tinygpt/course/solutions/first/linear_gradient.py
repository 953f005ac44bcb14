import numpy as np

from kernels.numpy_ref.linear import activate, activation_gradient


def linear_backward(dy, x, weight, activation=None, bias=None, wants=(True, True, True)):
    dx = dweight = dbias = None
    axes = list(range(dy.ndim - 1))
    if wants[0]:
        dx = activation_gradient(np.tensordot(dy, weight, axes=(-1, 0)), x, activation)
    if wants[1]:
        dweight = np.tensordot(dy, activate(x, activation), axes=(axes, axes))
    if wants[2] and bias is not None:
        dbias = dy.sum(axis=tuple(axes))
    return dx, dweight, dbias
