import numpy as np

from minigrad import Tensor


def sums(x, counts):
    number = np.repeat(np.arange(len(counts)), counts)
    total = np.zeros(len(counts), x.dtype)
    np.add.at(total, number, x.data)
    return Tensor(total, (x,), lambda dy: (dy[number],))
