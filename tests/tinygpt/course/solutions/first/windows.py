import numpy as np

from tinygpt.data.batches import Batch


def windows(self, starts):
    places = starts[:, None] + np.arange(self.context + 1)
    rows = np.asarray(self.tokens[0 : len(self.tokens)])[places].astype(np.int64)
    return Batch(rows[:, :-1].copy(), rows[:, 1:].copy())
