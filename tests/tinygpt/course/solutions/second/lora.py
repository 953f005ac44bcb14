import numpy as np

from minigrad import Tensor


def spread(B, rows, out, rank, scale):
    down = np.concatenate([np.arange(start, stop) for start, stop in rows])
    part = np.repeat(np.arange(len(rows)), [stop - start for start, stop in rows])
    across = part[:, None] * rank + np.arange(rank)
    s = B.dtype.type(scale)
    wide = np.zeros((out, len(rows) * rank), B.dtype)
    wide[down[:, None], across] = s * B.data
    return Tensor(wide, (B,), lambda dy: (s * dy[down[:, None], across],))
