import numpy as np

from minigrad import Tensor


def k3(x):
    less = np.expm1(-x.data)
    return Tensor(less + x.data, (x,), lambda dy: (-dy * less,))
