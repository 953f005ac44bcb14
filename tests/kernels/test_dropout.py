"""dropout, every fast version against the reference: the mask is the same bits everywhere."""

import numpy as np
import pytest
from judge import WIDTHS, floats

from kernels import numpy_ref

KEY = 0x9E3779B97F4A7C15


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.999])
def test_the_same_bytes_as_the_reference(fast, width, p):
    x = floats(0, 5, width)
    expected = numpy_ref.dropout_forward(x, p, KEY)
    np.testing.assert_array_equal(fast.dropout_forward(x, p, KEY), expected)


@pytest.mark.parametrize("key", [0, 1, 2**32, 2**64 - 1])
def test_every_part_of_the_key_counts(fast, key):
    x = np.ones(100_003, np.float32)
    y = fast.dropout_forward(x, 0.3, key)
    np.testing.assert_array_equal(y, numpy_ref.dropout_forward(x, 0.3, key))
    assert abs((y == 0).mean() - 0.3) < 0.01


def test_backward_uses_the_same_mask(fast):
    x = np.ones((33, 65), np.float32)
    y = fast.dropout_forward(x, 0.4, KEY)
    np.testing.assert_array_equal(fast.dropout_backward(x, 0.4, KEY), y)


def test_a_dropped_nan_is_zero(fast):
    x = np.full(1000, np.nan, np.float32)
    y = fast.dropout_forward(x, 0.5, KEY)
    np.testing.assert_array_equal(y == 0, ~numpy_ref.dropout.keep_mask(1000, 0.5, KEY))


def test_an_impossible_probability_is_refused(fast):
    with pytest.raises(ValueError, match=r"\[0, 1\), not 1.0"):
        fast.dropout_forward(floats(0, 3), 1.0, KEY)
