"""cross_entropy, every fast version against the float64 reference."""

import numpy as np
import pytest
from judge import exact, floats, worst

from kernels import numpy_ref

SIZES = (1, 3, 7, 8, 9, 15, 16, 17, 65, 4096)
BOUND = 3e-7


def problem(size, rows=37, scale=3.0):
    logits = floats(size, rows, size, scale=scale)
    return logits, np.random.default_rng(1).integers(0, size, rows)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("ignore_index", [None, -100, 0])
def test_it_agrees(fast, size, smoothing, ignore_index):
    logits, targets = problem(size)
    if ignore_index is not None:
        targets[::5] = ignore_index
    settings = {"label_smoothing": smoothing, "ignore_index": ignore_index}
    loss, lse = fast.cross_entropy_forward(logits, targets, **settings)
    loss64, lse64 = exact(numpy_ref.cross_entropy_forward, logits, targets, **settings)
    assert loss.shape == ()
    assert worst(loss, loss64, max(1, abs(loss64))) < BOUND
    assert worst(lse, lse64, 1 + np.abs(lse64)) < BOUND

    dloss = np.float32(0.7)
    dlogits = fast.cross_entropy_backward(dloss, logits, targets, lse, **settings)
    expected = exact(
        numpy_ref.cross_entropy_backward, np.float64(0.7), logits, targets, lse64, **settings
    )
    assert worst(dlogits, expected, 0.7 / len(targets)) < 5 * BOUND  # exp(x - lse): lse rounded


def test_forward_of_one_backend_serves_backward_of_another(fast):
    logits, targets = problem(65)
    _, lse = fast.cross_entropy_forward(logits, targets)
    here = numpy_ref.cross_entropy_backward(np.float32(1), logits, targets, lse)
    _, lse = numpy_ref.cross_entropy_forward(logits, targets)
    there = fast.cross_entropy_backward(np.float32(1), logits, targets, lse)
    assert worst(here, there, 1 / len(targets)) < 5 * BOUND


def test_masked_logits_have_no_gradient(fast):
    logits, targets = problem(19)
    logits[:, 5] = -np.inf
    targets[targets == 5] = 4
    loss, lse = fast.cross_entropy_forward(logits, targets)
    expected, _ = numpy_ref.cross_entropy_forward(logits, targets)
    assert worst(loss, expected, 1) < BOUND
    dlogits = fast.cross_entropy_backward(np.float32(1), logits, targets, lse)
    assert not dlogits[:, 5].any()
    assert np.isfinite(dlogits).all()


def test_huge_logits_do_not_overflow(fast):
    logits = np.array([[3e38, -3e38, 0], [3e38, 3e38, -3e38]], np.float32)
    loss, lse = fast.cross_entropy_forward(logits, np.array([0, 1]))
    np.testing.assert_array_equal(lse, np.float32([3e38, 3e38]))
    assert loss == 0


def test_ties_cost_log_v(fast):
    loss, _ = fast.cross_entropy_forward(np.ones((4, 17), np.float32), np.arange(4))
    np.testing.assert_allclose(loss, np.log(17), rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, "all -inf"])
def test_a_loss_that_is_not_a_number_is_not_hidden(fast, bad):
    logits, targets = problem(17)
    logits[3] = -np.inf if bad == "all -inf" else logits[3]
    logits[3, 4] = -np.inf if bad == "all -inf" else bad
    with np.errstate(invalid="ignore"):
        loss, lse = fast.cross_entropy_forward(logits, targets)
    assert np.isnan(lse[3]) and not np.isfinite(loss)


def test_no_row_counts(fast):
    logits, targets = floats(0, 3, 5), np.full(3, -1)
    loss, lse = fast.cross_entropy_forward(logits, targets, ignore_index=-1)
    assert loss == 0 and lse.shape == (3,)
    dlogits = fast.cross_entropy_backward(np.float32(1), logits, targets, lse, ignore_index=-1)
    assert not dlogits.any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint64])
def test_targets_of_any_integer_type(fast, dtype):
    logits, targets = problem(65)
    loss, _ = fast.cross_entropy_forward(logits, targets.astype(dtype))
    assert loss == fast.cross_entropy_forward(logits, targets)[0]


def test_bad_targets_are_refused(fast):
    logits = floats(0, 2, 5)
    for bad in (5, -1):
        with pytest.raises(IndexError, match=f"id {bad} is outside"):
            fast.cross_entropy_forward(logits, np.array([0, bad]))
    with pytest.raises(TypeError, match="float64"):
        fast.cross_entropy_forward(logits, np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match=r"targets .* not \(3,\), beside logits \(2, 5\)"):
        fast.cross_entropy_forward(logits, np.array([0, 1, 2]))
    with pytest.raises(ValueError, match="smoothing"):
        fast.cross_entropy_forward(logits, np.array([0, 1]), 1.0)
