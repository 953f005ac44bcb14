import numpy as np


def test(_scores):
    q, k = np.ones((1, 2, 2, 4)), np.ones((1, 3, 2, 4))
    k[:, :, 1] = 2
    no = -np.inf
    assert np.allclose(_scores(q, k, True, None, None, None, None)[0],
                       [[[2, 2, no], [2, 2, 2]], [[4, 4, no], [4, 4, 4]]])
    keys = np.ones((1, 1, 2, 4)) * np.array([1.0, 2.0]).reshape(1, 1, 2, 1)
    grouped = _scores(np.ones((1, 1, 4, 4)), keys, True, None, None, None, None)
    assert np.allclose(grouped.ravel(), [2, 2, 4, 4])
    last = np.array([[1, 2]])
    seen = _scores(q, k, False, 1.0, None, last, np.zeros((2, 4)) + 0.5)[0, 0]
    assert np.allclose(seen, [[4.5, no, no], [4.5, 4.5, no]])
