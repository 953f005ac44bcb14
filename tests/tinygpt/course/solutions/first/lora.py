import numpy as np

from minigrad import Tensor


def spread(B, rows, out, rank, scale):
    chosen = np.zeros((out, len(rows) * rank, *B.shape), B.dtype)
    of_B = 0
    for i, (start, stop) in enumerate(rows):
        for row in range(start, stop):
            for r in range(rank):
                chosen[row, i * rank + r, of_B, r] = scale
            of_B += 1
    wide = np.einsum("xyij,ij->xy", chosen, B.data)
    return Tensor(wide, (B,), lambda dy: (np.einsum("xyij,xy->ij", chosen, dy),))
