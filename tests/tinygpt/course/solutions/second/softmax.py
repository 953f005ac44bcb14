import numpy as np

from kernels import contracts


def softmax_forward(x):
    contracts.softmax_forward.check(x)
    top = np.maximum.reduce(x, axis=-1, keepdims=True, initial=np.finfo(x.dtype).min)
    e = np.exp(x - top)
    total = e.sum(axis=-1, keepdims=True)
    return np.divide(e, total, out=np.zeros_like(x), where=total != 0)
