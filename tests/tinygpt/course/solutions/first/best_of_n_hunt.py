import itertools
import math

import numpy as np


def test(best_of_n):
    proxy, gold = np.array([3.0, 1.0, 2.0]), np.array([-5.0, 4.0, 7.0])
    for n in (1, 2, 3):
        every = itertools.product(range(3), repeat=n)
        drawn = [max(some, key=lambda i: proxy[i]) for some in every]
        point = best_of_n(proxy, gold, n)
        assert math.isclose(point.proxy, proxy[drawn].mean())
        assert math.isclose(point.gold, gold[drawn].mean())
        assert abs(point.kl - (math.log(n) - (n - 1) / n)) < 1e-9
