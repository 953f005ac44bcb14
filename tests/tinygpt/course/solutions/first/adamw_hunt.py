import numpy as np


def test(_step):
    p, m, v = np.array([2.0]), np.array([0.0]), np.array([0.0])
    x, one, two = 2.0, 0.0, 0.0
    for step, slope in enumerate((3.0, -1.0, 0.5), 1):
        _step(p, np.array([slope]), m, v, 0.1, 0.9, 0.7, 0.3, 0.2, step, 0.5)
        g = slope / 2
        one, two = 0.9 * one + 0.1 * g, 0.7 * two + 0.3 * g * g
        root = (two / (1 - 0.7**step)) ** 0.5
        x = x * (1 - 0.1 * 0.2) - 0.1 * one / (1 - 0.9**step) / (root + 0.3)
        assert np.allclose([p[0], m[0], v[0]], [x, one, two])
