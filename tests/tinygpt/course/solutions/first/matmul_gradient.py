import numpy as np

from kernels.numpy_ref.matmul import _sum_to


def matmul_backward(dc, a, b):
    da = np.einsum("...mn,...kn->...mk", dc, b)
    db = np.einsum("...mk,...mn->...kn", a, dc)
    return _sum_to(da, a.shape), _sum_to(db, b.shape)
