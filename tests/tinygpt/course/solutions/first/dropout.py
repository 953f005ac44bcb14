import numpy as np

from kernels import checks
from kernels.numpy_ref.dropout import keep_mask


def dropout_forward(x, p, key):
    keep = keep_mask(x.size, p, checks.dropout(p, key)).reshape(x.shape)
    y = np.zeros_like(x)
    y[keep] = x[keep] / x.dtype.type(1 - p)
    return y
