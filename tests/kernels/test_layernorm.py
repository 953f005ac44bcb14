"""layernorm, every fast version against the float64 reference."""

import numpy as np
import pytest
from judge import WIDTHS, exact, floats, worst

from kernels import numpy_ref

BOUND = 5e-7  # of the largest value in each result, for rows that lie around zero


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("with_residual", [False, True])
def test_forward_agrees(fast, width, with_bias, with_residual):
    x, weight = floats(0, 3, 7, width), floats(1, width)
    bias = floats(2, width) if with_bias else None
    residual = floats(3, 3, 7, width) if with_residual else None
    results = fast.layernorm_forward(x, weight, bias, residual)
    references = exact(numpy_ref.layernorm_forward, x, weight, bias, residual)
    y, s, mean, rstd = references
    scales = (None, None, np.abs(s).max(), None)
    for result, reference, scale in zip(results, references, scales, strict=True):
        if width > 1 or reference is not rstd:  # a row of one has no variance, only eps
            assert worst(result, reference, scale) < BOUND
    assert with_residual or results[1] is x


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("with_ds", [False, True])
def test_backward_agrees(fast, width, with_ds):
    rows = 97
    dy, s, weight = floats(0, rows, width), floats(1, rows, width), floats(2, width)
    ds = floats(3, rows, width) if with_ds else None
    _, _, mean, rstd = numpy_ref.layernorm_forward(s, weight)
    results = fast.layernorm_backward(dy, s, weight, mean, rstd, ds)
    references = exact(numpy_ref.layernorm_backward, dy, s, weight, mean, rstd, ds)
    # A row of one number has dx = 0 from cancelling terms of the size rstd.
    scales = (max(np.abs(references[0]).max(), rstd.max()), None, None)
    for result, reference, scale in zip(results, references, scales, strict=True):
        if width > 1 or result is not results[1]:  # its dweight is 0, or rounding in the mean
            assert worst(result, reference, scale) < BOUND


def test_forward_of_one_backend_serves_backward_of_another(fast):
    x, weight, dy = floats(0, 33, 65), floats(1, 65), floats(2, 33, 65)
    _, s, mean, rstd = fast.layernorm_forward(x, weight)
    here = numpy_ref.layernorm_backward(dy, s, weight, mean, rstd)
    _, s, mean, rstd = numpy_ref.layernorm_forward(x, weight)
    there = fast.layernorm_backward(dy, s, weight, mean, rstd)
    for a, b in zip(here, there, strict=True):
        assert worst(a, b) < 2 * BOUND


def test_a_large_mean_costs_no_variance(fast):
    """E[s^2] - E[s]^2 would be zero or negative here: 1e4^2 has no digits left for 1."""
    x = 1e4 + floats(0, 5, 384)
    y, *_ = fast.layernorm_forward(x, np.ones(384, np.float32))
    expected, *_ = exact(numpy_ref.layernorm_forward, x, np.ones(384, np.float32))
    assert np.abs(y - expected).max() < 2e-3  # the inputs themselves have a spacing of 1e-3


def test_equal_numbers_give_the_bias(fast):
    bias = floats(0, 17)
    y, *_ = fast.layernorm_forward(np.full((2, 17), 3, np.float32), floats(1, 17), bias)
    np.testing.assert_array_equal(y, np.stack([bias, bias]))


def test_gradients_do_not_depend_on_the_number_of_threads(fast):
    import kernels

    args = [floats(i, 1111, 192) for i in range(2)] + [floats(2, 192), floats(3, 1111)]
    args.append(np.abs(floats(4, 1111)) + 1)
    before = kernels.get_num_threads()
    results = []
    for threads in (1, 2):
        kernels.set_num_threads(threads)
        results.append(fast.layernorm_backward(*args))
    kernels.set_num_threads(before)
    for one, two in zip(*results, strict=True):
        assert one.tobytes() == two.tobytes()


def test_no_rows(fast):
    y, s, mean, rstd = fast.layernorm_forward(floats(0, 0, 8), floats(1, 8))
    dx, dweight, dbias = fast.layernorm_backward(y, s, floats(1, 8), mean, rstd)
    assert y.shape == dx.shape == (0, 8)
    assert not dweight.any() and not dbias.any()


def test_shapes_that_differ_are_refused(fast):
    with pytest.raises(ValueError, match=r"\(3, 8\).*\(3, 9\)"):
        fast.layernorm_forward(floats(0, 3, 8), floats(1, 8), None, floats(2, 3, 9))
    with pytest.raises(ValueError, match=r"\(9,\)"):
        fast.layernorm_forward(floats(0, 3, 8), floats(1, 9))
