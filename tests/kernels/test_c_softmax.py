"""softmax.c against the reference, on every instruction set."""

import numpy as np
import pytest

from kernels.numpy_ref import softmax_backward as reference_backward
from kernels.numpy_ref import softmax_forward as reference_forward

COLUMNS = (1, 3, 7, 8, 9, 15, 16, 17, 31, 65, 1024)


@pytest.fixture
def c(isa):
    import kernels.c

    return kernels.c


@pytest.mark.parametrize("columns", COLUMNS)
def test_forward_agrees_with_float64(c, columns):
    x = np.random.default_rng(columns).normal(0, 5, (13, columns)).astype(np.float32)
    expected = reference_forward(x.astype(np.float64))
    # x - max is rounded before exp: 2^-20 for differences between 16 and 32.
    np.testing.assert_allclose(c.softmax_forward(x), expected, rtol=4e-6, atol=1e-30)


@pytest.mark.parametrize("columns", COLUMNS)
def test_backward_agrees_with_float64(c, columns):
    rng = np.random.default_rng(columns)
    dy = rng.normal(size=(5, columns)).astype(np.float32)
    y = reference_forward(rng.normal(size=(5, columns)).astype(np.float32))
    expected = reference_backward(dy.astype(np.float64), y.astype(np.float64))
    np.testing.assert_allclose(c.softmax_backward(dy, y), expected, rtol=1e-4, atol=1e-7)


def test_a_fully_masked_row_is_zero(c):
    x = np.full((2, 19), -np.inf, np.float32)
    x[1, 4] = 0
    y = c.softmax_forward(x)
    assert not y[0].any()
    assert y[1, 4] == 1 and y[1].sum() == 1


def test_huge_scores_do_not_overflow(c):
    y = c.softmax_forward(np.array([[3e38, 3e38, -3e38]], np.float32))
    np.testing.assert_array_equal(y, [[0.5, 0.5, 0]])


def test_nothing_is_written_past_the_end(c):
    """A row of every length up to 40 inside a longer buffer: what follows it keeps its value."""
    from kernels.c import library

    for n in range(1, 41):
        x, y = np.ones(n, np.float32), np.full(64, 7, np.float32)
        library.lib.softmax_forward(library.pointer(x), library.pointer(y), 1, n)
        assert (y[n:] == 7).all()


def test_an_empty_array_and_a_view(c):
    assert c.softmax_forward(np.zeros((0, 5), np.float32)).shape == (0, 5)
    x = np.random.default_rng(0).normal(size=(6, 10)).astype(np.float32)
    np.testing.assert_allclose(c.softmax_forward(x[::2, ::3]), reference_forward(x[::2, ::3]), 1e-6)


def test_another_dtype_is_refused(c):
    with pytest.raises(TypeError, match="floating point, not int64"):
        c.softmax_forward(np.arange(5))
