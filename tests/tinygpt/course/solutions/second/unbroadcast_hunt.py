import numpy as np


def test(unbroadcast):
    g = np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
    assert unbroadcast(g, (3,)).tolist() == [9.0, 18.0, 36.0]
    assert unbroadcast(g, (2, 1)).tolist() == [[7.0], [56.0]]
    assert unbroadcast(g, (1,)).tolist() == [63.0]
    assert unbroadcast(g, (2, 3)).tolist() == g.tolist()
    deep = np.stack([g, 10 * g])
    assert unbroadcast(deep, (2, 1)).tolist() == [[77.0], [616.0]]
