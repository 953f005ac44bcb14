"""linear_cross_entropy, every fast version against the float64 reference."""

import tracemalloc

import numpy as np
import pytest
from judge import exact, floats, worst

from kernels import numpy_ref

BOUND = 2e-6
SIZES = ((1, 1, 1), (5, 3, 2), (17, 15, 7), (31, 16, 65), (129, 192, 65), (300, 33, 1025))


def problem(rows, width, size):
    x, weight = floats(0, rows, width), floats(1, size, width, scale=width**-0.5)
    return x, weight, np.random.default_rng(2).integers(0, size, rows)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("ignore_index", [None, -100, 0])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_agrees(fast, shape, smoothing, ignore_index, weighted):
    x, weight, targets = problem(*shape)
    if ignore_index is not None:
        targets[1::5] = ignore_index
    settings = {"label_smoothing": smoothing, "ignore_index": ignore_index}
    args, weights = (x, weight, targets), floats(3, shape[0]) if weighted else None
    loss, dx, dweight = fast.linear_cross_entropy_gradients(*args, **settings, weights=weights)
    expected = exact(numpy_ref.linear_cross_entropy_gradients, *args, **settings, weights=weights)
    terms = expected[0]
    if weighted:  # terms of both signs cancel, their rounding does not
        forward = numpy_ref.linear_cross_entropy_forward
        terms = exact(forward, *args, **settings, weights=np.abs(weights))
    assert loss.shape == ()
    assert worst(loss, expected[0], max(1, terms)) < BOUND
    assert worst(dx, expected[1], max(np.abs(expected[1]).max(), 1 / len(x))) < BOUND
    assert worst(dweight, expected[2], max(np.abs(expected[2]).max(), 1 / len(x))) < BOUND

    alone = fast.linear_cross_entropy_forward(*args, **settings, weights=weights)
    assert worst(alone, expected[0], max(1, terms)) < BOUND


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("cap", [0.3, 30.0])
@pytest.mark.parametrize(("smoothing", "weighted"), [(0.0, False), (0.1, False), (0.1, True)])
def test_a_soft_cap_agrees(fast, shape, cap, smoothing, weighted):
    x, weight, targets = problem(*shape)
    x *= 5  # some logits near the cap, some far from it
    targets[1::5] = -100
    settings = {"ignore_index": -100, "label_smoothing": smoothing, "softcap": cap,
                "weights": floats(3, shape[0]) if weighted else None}
    results = fast.linear_cross_entropy_gradients(x, weight, targets, **settings)
    expected = exact(numpy_ref.linear_cross_entropy_gradients, x, weight, targets, **settings)
    for result, right in zip(results, expected, strict=True):
        assert worst(result, right, max(np.abs(right).max(), 1 / len(x))) < 4 * BOUND
    alone = fast.linear_cross_entropy_forward(x, weight, targets, **settings)
    assert worst(alone, expected[0], max(1, np.abs(expected[0]))) < BOUND


def test_a_soft_cap_bends_the_logits_as_two_operations_do(fast):
    x, weight, targets = problem(31, 16, 65)
    capped = (3 * np.tanh(x @ weight.T / 3)).astype(np.float32)
    apart, _ = fast.cross_entropy_forward(capped, targets)
    assert worst(fast.linear_cross_entropy_forward(x, weight, targets, softcap=3.0), apart) < 1e-6


@pytest.mark.parametrize("rows", [1, 31, 700])
def test_weights_of_one_share_each_are_the_mean(fast, rows):
    args = problem(rows, 16, 4096)
    mean = fast.linear_cross_entropy_gradients(*args)
    same = fast.linear_cross_entropy_gradients(*args, weights=np.full(rows, 1 / rows, np.float32))
    assert all(worst(a, b) < BOUND for a, b in zip(same, mean, strict=True))


@pytest.mark.parametrize("row", [0, 255, 256, 511, 512, 699])
def test_a_weight_is_its_own_rows_at_the_edges_of_chunks(fast, row):
    x, weight, targets = problem(700, 16, 4096)
    weights = np.zeros(700, np.float32)
    weights[row] = -2.5
    loss, dx, dweight = fast.linear_cross_entropy_gradients(x, weight, targets, weights=weights)
    one = slice(row, row + 1)
    alone = exact(numpy_ref.linear_cross_entropy_gradients, x[one], weight, targets[one])
    for result, expected in zip((loss, dx[one], dweight), alone, strict=True):
        assert worst(result, -2.5 * expected) < BOUND
    assert not np.delete(dx, row, 0).any()
    assert loss == fast.linear_cross_entropy_forward(x, weight, targets, weights=weights)


def test_opposite_weights_give_opposite_gradients(fast):
    args, weights = problem(31, 16, 65), floats(3, 31)
    one = fast.linear_cross_entropy_gradients(*args, 0.1, weights=weights)
    other = fast.linear_cross_entropy_gradients(*args, 0.1, weights=-weights)
    assert all(np.array_equal(a, -b) for a, b in zip(one, other, strict=True))


def test_a_weight_does_not_make_an_ignored_row_count(fast):
    x, weight, targets = problem(5, 4, 7)
    targets[2] = -100
    left = [0, 1, 3, 4]
    weights = np.array([1, -1, 1e30, 2, 0], np.float32)
    loss, dx, _ = fast.linear_cross_entropy_gradients(x, weight, targets, 0.0, -100, weights)
    expected = fast.linear_cross_entropy_gradients(
        x[left], weight, targets[left], weights=weights[left]
    )
    assert loss == expected[0] and np.array_equal(dx[left], expected[1])
    assert not dx[2].any() and not dx[4].any()


def test_it_equals_the_two_operations_apart(fast):
    x, weight, targets = problem(700, 64, 4096)
    logits = x @ weight.T
    loss, lse = fast.cross_entropy_forward(logits, targets)
    dlogits = fast.cross_entropy_backward(np.float32(1), logits, targets, lse)
    fused = fast.linear_cross_entropy_gradients(x, weight, targets)
    for result, apart in zip(fused, (loss, dlogits @ weight, dlogits.T @ x), strict=True):
        assert worst(result, apart) < 1e-5


def test_the_logits_never_exist_whole(fast):
    x, weight, targets = problem(8192, 8, 4096)
    few = targets[:1000]
    fast.linear_cross_entropy_gradients(x[:1000], weight, few, softcap=9.0)  # compiles, warms pools
    tracemalloc.start()
    fast.linear_cross_entropy_gradients(x, weight, targets, softcap=9.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 8192 * 4096 / 4


def test_no_row_counts(fast):
    x, weight, _ = problem(3, 4, 5)
    loss, dx, dweight = fast.linear_cross_entropy_gradients(x, weight, np.full(3, -1), 0.0, -1)
    assert loss == 0 and not dx.any() and not dweight.any()


def test_no_rows(fast):
    x, weight, targets = problem(0, 4, 5)
    loss, dx, dweight = fast.linear_cross_entropy_gradients(x, weight, targets)
    assert loss == 0 and dx.shape == (0, 4) and not dweight.any()


def test_bad_input_is_refused(fast):
    x, weight, targets = problem(3, 4, 5)
    with pytest.raises(IndexError, match="id 5 is outside"):
        fast.linear_cross_entropy_gradients(x, weight, np.array([0, 5, 7]))
    with pytest.raises(ValueError, match=r"weight .* not \(5, 3\), beside x \(3, 4\)"):
        fast.linear_cross_entropy_forward(x, weight[:, :3], targets)
    with pytest.raises(ValueError, match=r"weights must have shape \(3,\), not \(2,\)"):
        fast.linear_cross_entropy_forward(x, weight, targets, weights=floats(3, 2))
    with pytest.raises(ValueError, match="softcap must be above 0 and finite, or None, not 0"):
        fast.linear_cross_entropy_gradients(x, weight, targets, softcap=0)
    with pytest.raises(TypeError, match="int64"):
        fast.linear_cross_entropy_gradients(x, weight, targets, weights=np.ones(3, np.int64))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_that_is_not_a_number_is_not_hidden(fast, bad):
    x, weight, targets = problem(31, 16, 65)
    x[3, 4] = bad
    with np.errstate(invalid="ignore"):
        loss, dx, _ = fast.linear_cross_entropy_gradients(x, weight, targets)
    assert np.isnan(loss) and np.isnan(dx[3]).all() and np.isfinite(np.delete(dx, 3, 0)).all()
