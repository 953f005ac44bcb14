import numpy as np

from minigrad import Tensor, ops


def bradley_terry(chosen, rejected, tie, margin, centring=0.0):
    h = chosen - rejected
    kept = np.where(tie, 0.5, 1.0)
    loss = Tensor(kept) * ops.softplus(Tensor(np.where(tie, 0.0, margin)) - h)
    loss = loss + Tensor(1 - kept) * ops.softplus(h)
    both = chosen + rejected
    return loss + both * both * centring
