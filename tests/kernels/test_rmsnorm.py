"""rmsnorm, every fast version against the float64 reference."""

import numpy as np
import pytest
from judge import WIDTHS, exact, floats, worst

from kernels import numpy_ref

BOUND = 5e-7  # of the largest value in each result


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("with_residual", [False, True])
def test_forward_agrees(fast, width, with_residual):
    x, weight = floats(0, 3, 7, width), floats(1, width)
    residual = floats(3, 3, 7, width) if with_residual else None
    results = fast.rmsnorm_forward(x, weight, residual)
    references = exact(numpy_ref.rmsnorm_forward, x, weight, residual)
    for result, reference in zip(results, references, strict=True):
        assert worst(result, reference) < BOUND
    assert with_residual or results[1] is x


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("with_ds", [False, True])
def test_backward_agrees(fast, width, with_ds):
    dy, s, weight = floats(0, 97, width), floats(1, 97, width), floats(2, width)
    ds = floats(3, 97, width) if with_ds else None
    _, _, rstd = numpy_ref.rmsnorm_forward(s, weight)
    dx, dweight = fast.rmsnorm_backward(dy, s, weight, rstd, ds)
    dx64, dweight64 = exact(numpy_ref.rmsnorm_backward, dy, s, weight, rstd, ds)
    assert worst(dx, dx64, max(np.abs(dx64).max(), rstd.max())) < BOUND
    assert worst(dweight, dweight64) < BOUND


def test_forward_of_one_backend_serves_backward_of_another(fast):
    x, weight, dy = floats(0, 33, 65), floats(1, 65), floats(2, 33, 65)
    _, s, rstd = fast.rmsnorm_forward(x, weight)
    here = numpy_ref.rmsnorm_backward(dy, s, weight, rstd)
    _, s, rstd = numpy_ref.rmsnorm_forward(x, weight)
    there = fast.rmsnorm_backward(dy, s, weight, rstd)
    for a, b in zip(here, there, strict=True):
        assert worst(a, b) < 2 * BOUND


def test_a_row_of_zeros_stays_zero(fast):
    y, _, rstd = fast.rmsnorm_forward(np.zeros((2, 17), np.float32), floats(1, 17))
    assert not y.any()
    np.testing.assert_allclose(rstd, 1 / np.sqrt(1e-5), rtol=1e-6)


def test_gradients_do_not_depend_on_the_number_of_threads(fast):
    import kernels

    args = [floats(0, 1111, 192), floats(1, 1111, 192), floats(2, 192), floats(3, 1111)]
    before = kernels.get_num_threads()
    results = []
    for threads in (1, 2):
        kernels.set_num_threads(threads)
        results.append(fast.rmsnorm_backward(*args))
    kernels.set_num_threads(before)
    for one, two in zip(*results, strict=True):
        assert one.tobytes() == two.tobytes()


def test_no_rows(fast):
    y, s, rstd = fast.rmsnorm_forward(floats(0, 0, 8), floats(1, 8))
    dx, dweight = fast.rmsnorm_backward(y, s, floats(1, 8), rstd)
    assert y.shape == dx.shape == (0, 8)
    assert not dweight.any()


def test_shapes_that_differ_are_refused(fast):
    with pytest.raises(ValueError, match=r"\(3, 8\).*\(3, 9\)"):
        fast.rmsnorm_forward(floats(0, 3, 8), floats(1, 8), floats(2, 3, 9))
