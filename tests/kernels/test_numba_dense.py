"""softmax, linear and matmul in Numba against the float64 reference."""

import numpy as np
import pytest
from judge import WIDTHS, exact, floats, worst

from kernels import numpy_ref

numba_jit = pytest.importorskip("kernels.numba_jit")

BOUND = 3e-6


@pytest.mark.parametrize("width", WIDTHS)
def test_softmax_agrees(width):
    x, dy = floats(0, 3, 5, width, scale=3), floats(1, 3, 5, width)
    y = numba_jit.softmax_forward(x)
    expected = exact(numpy_ref.softmax_forward, x)
    assert worst(y, expected) < BOUND
    dx = numba_jit.softmax_backward(dy, y)
    assert worst(dx, exact(numpy_ref.softmax_backward, dy, expected), scale=1) < BOUND


def test_softmax_of_masked_and_huge_rows():
    x = floats(0, 4, 17)
    x[0] = -np.inf
    x[1, 3:] = -np.inf
    x[2] *= 1e30
    x[3, 5] = np.nan
    y = numba_jit.softmax_forward(x)
    assert np.all(y[0] == 0)
    assert np.all(y[1, 3:] == 0)
    assert y[2].max() == 1
    assert np.all(np.isnan(y[3]))


@pytest.mark.parametrize("activation", [None, "gelu", "relu2", "silu", "relu", "gelu_erf"])
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("with_residual", [False, True])
def test_linear_agrees(activation, with_bias, with_residual):
    x, weight = floats(0, 2, 7, 33), floats(1, 20, 33, scale=0.2)
    bias = floats(2, 20) if with_bias else None
    residual = floats(3, 2, 7, 20) if with_residual else None
    y = numba_jit.linear_forward(x, weight, bias, activation, residual)
    y_ref = exact(numpy_ref.linear_forward, x, weight, bias, activation, residual)
    assert worst(y, y_ref) < BOUND
    dy = floats(4, *y.shape)
    grads = numba_jit.linear_backward(dy, x, weight, activation, bias)
    references = exact(numpy_ref.linear_backward, dy, x, weight, activation, bias)
    for grad, reference in zip(grads, references, strict=True):
        if reference is None:
            assert grad is None
        else:
            assert worst(grad, reference) < BOUND


def test_linear_takes_views_without_touching_them():
    x, weight = floats(0, 5, 4, 6).swapaxes(0, 1), floats(1, 3, 6)
    residual = floats(2, 5, 4, 3).swapaxes(0, 1)
    before = residual.copy()
    y = numba_jit.linear_forward(x, weight, None, "relu2", residual)
    y_ref = exact(numpy_ref.linear_forward, x, weight, None, "relu2", residual)
    assert worst(y, y_ref) < BOUND
    assert np.array_equal(residual, before)


def test_matmul_agrees():
    a, b = floats(0, 2, 1, 9, 33), floats(1, 3, 33, 5)
    c = numba_jit.matmul_forward(a, b)
    assert worst(c, exact(numpy_ref.matmul_forward, a, b)) < BOUND
    for grad, reference in zip(
        numba_jit.matmul_backward(c, a, b), exact(numpy_ref.matmul_backward, c, a, b), strict=True
    ):
        assert worst(grad, reference) < BOUND


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"weight .* not \(5, 4\), beside x \(2, 3\)"):
        numba_jit.linear_forward(floats(0, 2, 3), floats(1, 5, 4))
    with pytest.raises(TypeError, match="int64"):
        numba_jit.softmax_forward(np.zeros((2, 3), np.int64))
