import numpy as np


def test(_scores):
    rng = np.random.default_rng(0)
    q, k = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((2, 4, 2, 5))
    bias = np.arange(24.0).reshape(4, 6)
    last = np.array([[2, 1, 4], [3, 3, 4]])
    first = np.array([[0, 1, 1], [0, 0, 2]])
    for causal, low, high, extra in ((True, None, None, None), (True, first, None, None),
                                     (False, None, last, bias), (False, None, None, None)):
        got = _scores(q, k, causal, None, low, high, extra)
        for b, h, i, j in np.ndindex(2, 4, 3, 4):
            right = q[b, i, h] @ k[b, j, h // 2] / 5**0.5
            if extra is not None:
                right += bias[h, i + 1 - j + 2]
            seen = (not causal or j <= i + 1) and (low is None or j >= low[b, i])
            seen = seen and (high is None or j < high[b, i])
            assert np.isclose(got[b, h, i, j], right if seen else -np.inf)
