"""gelu, every fast version against the float64 reference."""

import numpy as np
import pytest
from judge import WIDTHS, exact, floats

from kernels import numpy_ref

SWEEP = np.linspace(-12, 12, 1_000_003, dtype=np.float32)


def test_forward_is_within_its_stated_error(fast):
    expected = exact(numpy_ref.gelu_forward, SWEEP)
    error = np.abs(fast.gelu_forward(SWEEP) - expected)
    assert (error / np.maximum(np.abs(SWEEP), 1e-30)).max() < 2e-7  # of |x|


def test_forward_keeps_its_digits_where_it_is_small(fast):
    """1 + tanh u has none left at x = -5; the logistic form has."""
    x = np.linspace(-6, -1, 10_007, dtype=np.float32)
    np.testing.assert_allclose(fast.gelu_forward(x), exact(numpy_ref.gelu_forward, x), rtol=1e-5)


def test_backward_is_within_its_stated_error(fast):
    dy = np.ones_like(SWEEP)
    error = np.abs(fast.gelu_backward(dy, SWEEP) - exact(numpy_ref.gelu_backward, dy, SWEEP))
    assert error.max() < 4e-7


@pytest.mark.parametrize("width", WIDTHS)
def test_odd_sizes(fast, width):
    x, dy = floats(0, 3, width), floats(1, 3, width)
    expected = exact(numpy_ref.gelu_forward, x)
    np.testing.assert_allclose(fast.gelu_forward(x), expected, rtol=1e-5, atol=1e-6)
    expected = exact(numpy_ref.gelu_backward, dy, x)
    np.testing.assert_allclose(fast.gelu_backward(dy, x), expected, rtol=1e-5, atol=1e-6)


def test_far_out_it_is_the_identity_or_zero(fast):
    x = np.array([-1e30, -1e4, -100, 0, 100, 1e4, 1e30], np.float32)
    np.testing.assert_array_equal(fast.gelu_forward(x), np.maximum(x, 0))
    slope = fast.gelu_backward(np.ones_like(x), x)
    np.testing.assert_array_equal(slope, [0, 0, 0, 0.5, 1, 1, 1])


def test_nan_stays_nan_and_inf_stays_inf(fast):
    y = fast.gelu_forward(np.array([np.nan, np.inf], np.float32))
    np.testing.assert_array_equal(y, [np.nan, np.inf])
    assert np.isnan(fast.gelu_backward(np.ones(1, np.float32), np.array([np.nan], np.float32)))


def test_an_empty_array_and_a_view(fast):
    assert fast.gelu_forward(np.zeros((0, 3), np.float32)).shape == (0, 3)
    x = floats(0, 6, 10)
    np.testing.assert_array_equal(fast.gelu_forward(x[::2, ::3]), fast.gelu_forward(x)[::2, ::3])


def test_integers_are_refused(fast):
    with pytest.raises(TypeError, match="int64"):
        fast.gelu_forward(np.arange(3))
