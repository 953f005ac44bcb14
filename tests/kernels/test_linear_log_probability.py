"""linear_log_probability, every fast version against the float64 reference."""

import tracemalloc

import numpy as np
import pytest
from judge import exact, floats, worst

from kernels import numpy_ref

BOUND = 2e-6
SIZES = ((1, 1, 1), (5, 3, 2), (17, 15, 7), (31, 16, 65), (2100, 33, 1025))  # last: some chunks


def problem(rows, width, size):
    x, weight = floats(0, rows, width), floats(1, size, width, scale=width**-0.5)
    return x, weight, np.random.default_rng(2).integers(0, size, rows)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("softcap", [None, 2.0])
def test_it_agrees(fast, shape, softcap):
    args = *problem(*shape), softcap
    y = fast.linear_log_probability_forward(*args)
    expected = exact(numpy_ref.linear_log_probability_forward, *args)
    assert worst(y, expected, max(1, np.abs(expected).max())) < BOUND
    dy = floats(3, shape[0])
    grads = fast.linear_log_probability_backward(dy, *args)
    references = exact(numpy_ref.linear_log_probability_backward, dy, *args)
    for grad, reference in zip(grads, references, strict=True):
        assert worst(grad, reference, max(np.abs(reference).max(), 1 / shape[0])) < BOUND


def test_it_is_the_log_of_what_softmax_says(fast):
    x, weight, targets = problem(31, 16, 65)
    p = exact(numpy_ref.softmax_forward, x @ weight.T)[np.arange(31), targets]
    assert worst(fast.linear_log_probability_forward(x, weight, targets), np.log(p)) < BOUND


def test_a_hopeless_target_keeps_its_digits(fast):
    """Where softmax is 0 its log is not -inf: -200 here, and the gradient pulls in full."""
    x, weight = np.array([[100.0]], np.float32), np.array([[1.0], [-1.0]], np.float32)
    targets = np.array([1])
    assert fast.linear_log_probability_forward(x, weight, targets)[0] == -200
    grads = fast.linear_log_probability_backward(np.ones(1, np.float32), x, weight, targets)
    assert grads[0].tolist() == [[-2]] and grads[1].tolist() == [[-100], [100]]


def test_rows_of_no_consequence_have_no_gradient(fast):
    args, dy = problem(31, 16, 65), floats(3, 31)
    dy[1::2] = 0
    dx, dweight = fast.linear_log_probability_backward(dy, *args)
    assert not dx[1::2].any() and dx[::2].any(axis=1).all()
    kept = [args[0][::2], args[1], args[2][::2]]
    assert worst(dweight, fast.linear_log_probability_backward(dy[::2], *kept)[1]) < BOUND


def test_no_rows(fast):
    args = problem(0, 4, 5)
    assert fast.linear_log_probability_forward(*args).shape == (0,)
    dx, dweight = fast.linear_log_probability_backward(np.zeros(0, np.float32), *args)
    assert dx.shape == (0, 4) and not dweight.any()


def test_the_logits_never_exist_whole(fast):
    x, weight, targets = problem(8192, 8, 4096)
    dy = np.ones(8192, np.float32)
    fast.linear_log_probability_backward(dy[:600], x[:600], weight, targets[:600])  # warms up
    tracemalloc.start()
    fast.linear_log_probability_forward(x, weight, targets)
    fast.linear_log_probability_backward(dy, x, weight, targets)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 8192 * 4096 / 4


def test_bad_input_is_refused(fast):
    x, weight, targets = problem(3, 4, 5)
    with pytest.raises(IndexError, match="linear_log_probability: id -1 is outside"):
        fast.linear_log_probability_forward(x, weight, np.array([0, 1, -1]))
    with pytest.raises(ValueError, match=r"linear_log_probability: .*\(5, 3\).*\(3, 4\)"):
        fast.linear_log_probability_forward(x, weight[:, :3], targets)
    with pytest.raises(ValueError, match=r"dy must have shape \(3,\), not \(2,\)"):
        fast.linear_log_probability_backward(floats(3, 2), x, weight, targets)


def test_what_is_not_a_number_is_not_hidden(fast):
    x, weight, targets = problem(31, 16, 65)
    x[3, 4] = np.nan
    y = fast.linear_log_probability_forward(x, weight, targets)
    assert np.flatnonzero(np.isnan(y)).tolist() == [3]
