"""linear_cross_entropy's weights, as tensors meet them; the numbers are judged in tests/kernels."""

import numpy as np
import pytest

import minigrad as mg


def problem():
    rng = np.random.default_rng(0)
    x = mg.tensor(rng.standard_normal((2, 3, 4)), requires_grad=True)
    weight = mg.tensor(rng.standard_normal((5, 4)), requires_grad=True)
    return x, weight, rng.integers(0, 5, (2, 3))


def test_one_weight_for_each_row_of_any_shape():
    x, weight, targets = problem()
    weights = np.array([[1, 0, -2], [0.5, 3, 0]])
    loss = mg.linear_cross_entropy(x, weight, targets, weights=weights)
    (2 * loss).backward()
    apart = 0.0
    for row in np.ndindex(2, 3):
        apart += weights[row] * mg.linear_cross_entropy(x[row][None], weight, targets[row][None])
    assert float(loss) == pytest.approx(float(apart), rel=1e-5)
    assert not x.grad[weights == 0].any() and x.grad[weights != 0].all()


def test_weights_that_do_not_fit_are_refused():
    x, weight, targets = problem()
    with pytest.raises(ValueError, match=r"weights \(6,\) must have the rows' shape \(2, 3\)"):
        mg.linear_cross_entropy(x, weight, targets, weights=np.ones(6))
    with pytest.raises(TypeError, match="weights have no gradient"):
        mg.linear_cross_entropy(x, weight, targets, weights=mg.tensor(np.ones((2, 3))))
