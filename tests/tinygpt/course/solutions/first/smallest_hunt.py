import numpy as np


def test(smallest):
    def goes(scores, share, group=None):
        gone = smallest(np.array(scores, float), share, group)
        return [np.flatnonzero(row).tolist() for row in gone]

    assert goes([[3, 1, 2, 4], [4, 3, 2, 1]], 0.5) == [[1, 2], [2, 3]]
    assert goes([[1, 2, 3, 4, 9, 8, 7, 6]], 0.5, 4) == [[0, 1, 6, 7]]
    assert goes([[5, 5, 5, 5]], 0.5) == [[0, 1]]
    assert goes([[1, 2, 3, 4, 5]], 0.1 + 0.7) == [[0, 1, 2, 3]]
    assert goes([[1, 2, 3, 4]], 0.7) == [[0, 1]]
    assert goes([[1, 2, 3, 4, 9, 8]], 0.5, 4) == [[0, 1, 5]]
