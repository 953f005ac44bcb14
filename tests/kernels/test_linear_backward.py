"""linear_backward computes what is wanted and nothing else, on every backend."""

import itertools

import numpy as np
import pytest
from judge import floats

from kernels import numpy_ref
from kernels.numpy_ref.linear import activate_with_derivative

WANTS = list(itertools.product([False, True], repeat=3))


def arguments(rows=37, inside=19, outside=70):
    return floats(0, rows, outside), floats(1, rows, inside), floats(2, outside, inside)


@pytest.mark.parametrize("activation", [None, "gelu", "relu2", "silu", "relu", "gelu_erf"])
@pytest.mark.parametrize("wants", WANTS)
def test_a_wanted_gradient_does_not_depend_on_the_others(fast, wants, activation):
    dy, x, weight = arguments()
    bias = weight[:, 0]
    for backend in (fast, numpy_ref):
        everything = backend.linear_backward(dy, x, weight, activation, bias)
        some = backend.linear_backward(dy, x, weight, activation, bias, wants)
        for got, full, wanted in zip(some, everything, wants, strict=True):
            assert (got is not None) == wanted
            if wanted:
                np.testing.assert_array_equal(got, full)


def test_without_a_bias_there_is_no_dbias(fast):
    for backend in (fast, numpy_ref):
        assert backend.linear_backward(*arguments())[2] is None


def test_x_may_be_missing_where_nothing_reads_it(fast):
    dy, x, weight = arguments()
    for backend in (fast, numpy_ref):
        full = backend.linear_backward(dy, x, weight)[0]
        dx, _, _ = backend.linear_backward(dy, None, weight, wants=(True, False, False))
        np.testing.assert_array_equal(dx, full)
        for missed in [(None, (False, True, False)), ("gelu", (True, False, False))]:
            with pytest.raises(ValueError, match="need x"):
                backend.linear_backward(dy, None, weight, missed[0], None, missed[1])


def test_no_rows_leave_what_is_wanted_at_zero(fast):
    _, _, weight = arguments()
    dy, x = floats(0, 0, 70), floats(1, 0, 19)
    for backend in (fast, numpy_ref):
        dx, dweight, dbias = backend.linear_backward(dy, x, weight, None, weight[:, 0])
        assert dx.shape == x.shape and not dweight.any() and not dbias.any()
        assert backend.linear_backward(dy, x, weight, wants=(True, False, False))[1] is None


@pytest.mark.parametrize("activation", ["gelu", "relu2", "silu", "relu", "gelu_erf"])
def test_activations_far_from_zero_are_finite_and_right(fast, activation):
    x = np.array([[-1e15, -200, -87, -30, -1e-30, 0, 1e-30, 30, 87, 200, 1e15]], np.float32)
    one = np.eye(x.size, dtype=np.float32)
    y = fast.linear_forward(x, one, None, activation)
    dx = fast.linear_backward(x * 0 + 1, x, one, activation, wants=(True, False, False))[0]
    right, slope = activate_with_derivative(x.astype(np.float64), activation)
    np.testing.assert_allclose(y, right, rtol=2e-5, atol=1e-30)
    np.testing.assert_allclose(dx, slope, rtol=2e-5, atol=1e-30)


@pytest.mark.parametrize("outside", [31, 32, 33, 64, 65, 127, 128, 200])
def test_bias_gradient_is_the_sum_of_rows_in_their_order(fast, outside):
    """On either side of the strips that it is summed in, to the bit."""
    dy, weight, bias = floats(1, 37, outside), floats(2, outside, 3), floats(3, outside)
    wanted = np.zeros(outside, np.float32)
    for row in dy:
        wanted += row
    dbias = fast.linear_backward(dy, None, weight, None, bias, (False, False, True))[2]
    np.testing.assert_array_equal(dbias, wanted)
