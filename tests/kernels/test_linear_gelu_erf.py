"""linear after the exact GELU: every fast version against erfc, over the whole range."""

import math

import numpy as np
import pytest

from kernels import numpy_ref

ONE = np.ones((1, 1), np.float32)
SWEEP = np.linspace(-14, 14, 60_001, dtype=np.float32)[:, None]


def exact(x):
    """(y, dy/dx) in float64."""
    x = x.astype(np.float64)
    phi = np.vectorize(math.erfc)(-x / math.sqrt(2)) / 2
    return x * phi, phi + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def both(module, x):
    """(y, dy/dx) of a backend, through a weight of 1."""
    dx, dweight, _ = module.linear_backward(np.ones_like(x), x, ONE.astype(x.dtype), "gelu_erf")
    np.testing.assert_allclose(dweight[0, 0], exact(x)[0].sum(), rtol=1e-4)
    return module.linear_forward(x, ONE.astype(x.dtype), None, "gelu_erf"), dx


def test_value_and_slope_are_exact_to_a_float(fast):
    y, slope = both(fast, SWEEP)
    right, right_slope = exact(SWEEP)
    assert (np.abs(y - right) <= 2e-7 * np.maximum(1, np.abs(right))).all()
    assert (np.abs(slope - right_slope) <= 2e-7 * np.maximum(1, np.abs(right_slope))).all()


def test_far_below_zero_digits_are_kept(fast):
    x = np.array([[-2], [-4], [-6]], np.float32)
    np.testing.assert_allclose(both(fast, x)[0], exact(x)[0], rtol=2e-5)


def test_the_ends(fast):
    x = np.array([[-np.inf], [-2**127], [-200], [0], [200], [2**127], [np.inf]], np.float32)
    y = fast.linear_forward(x, ONE, None, "gelu_erf")
    np.testing.assert_array_equal(y[1:], [[0], [0], [0], [200], [2**127], [np.inf]])
    dx, _, _ = fast.linear_backward(np.ones_like(x), x, ONE, "gelu_erf", wants=(1, 0, 0))
    np.testing.assert_array_equal(dx, [[0], [0], [0], [0.5], [1], [1], [1]])
    nan = np.full((1, 1), np.nan, np.float32)
    assert np.isnan(fast.linear_forward(nan, ONE, None, "gelu_erf"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_reference_is_erfc(dtype):
    x = SWEEP[::50].astype(dtype)
    y, slope = both(numpy_ref, x)
    assert y.dtype == slope.dtype == dtype
    tight = 1e-15 if dtype == np.float64 else 2e-7
    assert (np.abs(y - exact(x)[0]) <= tight * np.maximum(1, np.abs(x))).all()
    assert (np.abs(slope - exact(x)[1]) <= 4 * tight).all()
