import numpy as np


def test(unbroadcast):
    g = np.arange(24.0).reshape(2, 3, 4)
    for shape in ((2, 3, 4), (3, 4), (4,), (), (1, 3, 4), (2, 1, 4), (3, 1), (1, 1, 1), (1,)):
        y = unbroadcast(g, shape)
        padded = (1,) * (3 - len(shape)) + shape
        right = g
        for axis, n in enumerate(padded):
            if n == 1:
                right = right.sum(axis, keepdims=True)
        assert y.shape == shape
        assert np.array_equal(y, right.reshape(shape))
