import numpy as np

from tinygpt.data.batches import Batch


def windows(self, starts):
    T = self.context
    x = np.stack([self.tokens[s : s + T] for s in starts]).astype(np.int64)
    y = np.stack([self.tokens[s + 1 : s + T + 1] for s in starts]).astype(np.int64)
    return Batch(x, y)
