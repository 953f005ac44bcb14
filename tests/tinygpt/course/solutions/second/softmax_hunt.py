import numpy as np


def test(softmax_forward):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 5)) * 3
    y = softmax_forward(x)
    assert np.allclose(y.sum(axis=-1), 1)
    assert np.allclose(y, softmax_forward(x + 7))
    assert np.allclose(np.log(y[:, 1] / y[:, 0]), x[:, 1] - x[:, 0])
    far = softmax_forward(np.array([[2000.0, 0.0], [0.0, 0.0]]))
    assert np.allclose(far, [[1, 0], [0.5, 0.5]])
    assert np.array_equal(softmax_forward(np.full((1, 2), -np.inf)), [[0, 0]])
