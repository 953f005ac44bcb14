import math


def _step(param, grad, m, v, lr, beta1, beta2, eps, weight_decay, step, grad_scale):
    for at in range(param.size):
        g = float(grad.flat[at]) * grad_scale
        one = float(m.flat[at]) * beta1 + g * (1 - beta1)
        two = float(v.flat[at]) * beta2 + g * g * (1 - beta2)
        m.flat[at], v.flat[at] = one, two
        move = one / (1 - beta1**step) / (math.sqrt(two / (1 - beta2**step)) + eps)
        param.flat[at] = float(param.flat[at]) * (1 - lr * weight_decay) - lr * move
