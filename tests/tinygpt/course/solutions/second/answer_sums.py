import numpy as np

from minigrad import Tensor


def sums(x, counts):
    number = np.repeat(np.arange(len(counts)), counts)
    belongs = (number == np.arange(len(counts))[:, None]).astype(x.dtype)  # (S, R)
    return (Tensor(belongs) @ x.reshape(-1, 1)).reshape(-1)
