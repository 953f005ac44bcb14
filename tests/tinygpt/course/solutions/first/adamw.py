import numpy as np


def _step(param, grad, m, v, lr, beta1, beta2, eps, weight_decay, step, grad_scale):
    to = param.dtype.type
    g = grad * to(grad_scale)
    m[...] = to(beta1) * m + to(1 - beta1) * g
    v[...] = to(beta2) * v + to(1 - beta2) * g * g
    decayed = param * to(1 - lr * weight_decay)
    root = np.sqrt(v) * to((1 - beta2**step) ** -0.5) + to(eps)
    param[...] = decayed - to(lr / (1 - beta1**step)) * m / root
