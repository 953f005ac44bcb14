import numpy as np

from minigrad import Tensor


def bradley_terry(chosen, rejected, tie, margin, centring=0.0):
    a, b = chosen.data, rejected.data
    h = a - b
    u = h - margin
    y = np.where(tie, (np.logaddexp(0, h) + np.logaddexp(0, -h)) / 2, np.logaddexp(0, -u))
    y = y + centring * (a + b) ** 2

    def backward(dy):
        slope = np.where(tie, np.tanh(h / 2) / 2, (np.tanh(u / 2) - 1) / 2)
        pull = 2 * centring * (a + b)
        return dy * (slope + pull), dy * (pull - slope)

    return Tensor(y, (chosen, rejected), backward)
