import numpy as np


def test(best_of_n):
    two = best_of_n(np.array([1.0, 0.0]), np.array([0.0, 8.0]), 2)
    assert abs(two.proxy - 0.75) < 1e-9 and abs(two.gold - 2.0) < 1e-9
    assert abs(two.kl - (np.log(2) - 0.5)) < 1e-9
    one = best_of_n(np.array([4.0, 1.0, 2.0]), np.array([1.0, 2.0, 6.0]), 1)
    assert abs(one.proxy - 7 / 3) < 1e-9 and abs(one.gold - 3.0) < 1e-9 and abs(one.kl) < 1e-9
