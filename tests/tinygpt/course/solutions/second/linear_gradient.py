import numpy as np

from kernels.numpy_ref.linear import activate, activation_gradient


def linear_backward(dy, x, weight, activation=None, bias=None, wants=(True, True, True)):
    out, inner = weight.shape
    flat = dy.reshape(-1, out)
    grads = [None, None, None]
    if wants[0]:
        da = (flat @ weight).reshape(*dy.shape[:-1], inner)
        grads[0] = activation_gradient(da, x, activation)
    if wants[1]:
        seen = activate(x, activation).reshape(-1, inner)
        grads[1] = np.ascontiguousarray((seen.T @ flat).T)
    if wants[2] and bias is not None:
        grads[2] = np.ones(len(flat), dy.dtype) @ flat
    return tuple(grads)
