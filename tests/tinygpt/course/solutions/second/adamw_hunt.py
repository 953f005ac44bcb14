import numpy as np


def test(_step):
    def after(step=1, wd=0.0, eps=1e-8, scale=1.0, g=2.0):
        p, m, v = np.array([1.0]), np.zeros(1), np.zeros(1)
        _step(p, np.array([g]), m, v, 0.1, 0.9, 0.99, eps, wd, step, scale)
        return p[0], m[0], v[0]

    assert np.isclose(after()[0], 0.9)
    assert np.isclose(after()[1], 0.2) and np.isclose(after()[2], 0.04)
    assert np.isclose(after(wd=0.5)[0], 0.95 - 0.1)
    assert np.isclose(after(eps=2.0)[0], 1 - 0.1 * 2 / 4)
    assert np.isclose(after(scale=0.5)[1], 0.1)
    assert np.isclose(after(g=-2.0)[0], 1.1)
