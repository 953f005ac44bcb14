"""softmax_summary, every fast version against the reference in float64, and this against a sort."""

import numpy as np
import pytest
from judge import exact, floats

from kernels import numpy_ref

SIZES = (1, 3, 7, 8, 9, 15, 16, 17, 65, 255, 256, 257, 266, 4096)
BOUND = 3e-7


def problem(size, rows=7, scale=3.0):
    return floats(size, rows, size, scale=scale), np.random.default_rng(1).integers(0, size, rows)


def test_the_reference_is_what_its_words_say():
    logits, ids = problem(65)
    top, lse, entropy, before = numpy_ref.softmax_summary(logits, ids, 65)
    for row, (x, one) in enumerate(zip(logits.astype(np.float64), ids, strict=True)):
        p = np.exp(x) / np.exp(x).sum()
        assert top[row].tolist() == sorted(range(65), key=lambda j, x=x: (-x[j], j))
        assert lse[row] == pytest.approx(np.log(np.exp(x).sum()), rel=1e-12)
        assert entropy[row] == pytest.approx(-(p * np.log(p)).sum(), rel=1e-12)
        assert top[row, before[row]] == one


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("k", [1, 10, 4096])
def test_it_agrees(fast, size, k):
    logits, ids = problem(size)
    top, lse, entropy, before = fast.softmax_summary(logits, ids, min(k, size))
    expected = exact(numpy_ref.softmax_summary, logits, ids, min(k, size))
    np.testing.assert_array_equal(top, expected[0])
    np.testing.assert_array_equal(before, expected[3])
    for found, right in ((lse, expected[1]), (entropy, expected[2])):
        assert found.dtype == np.float64
        assert (np.abs(found - right) / (1 + np.abs(right))).max() < BOUND


def test_a_wide_row_loses_nothing_in_its_sums(fast):
    logits = np.zeros((2, 100_003), np.float32)
    logits[1, ::2] = -1
    _, lse, entropy, before = fast.softmax_summary(logits, np.array([5, 6]), 1)
    expected = numpy_ref.softmax_summary(logits, np.array([5, 6]), 1)
    np.testing.assert_allclose(lse, expected[1], rtol=1e-7)
    np.testing.assert_allclose(entropy, expected[2], rtol=1e-7)
    assert before.tolist() == [0, 50_001]


def test_equal_scores_come_by_id(fast):
    logits = np.tile(np.float32([1, 3, 3, 2]), (2, 200))
    top, *_ = fast.softmax_summary(logits, np.array([1, 1]), 401)
    threes = [j for j in range(800) if j % 4 in (1, 2)]
    assert top.tolist() == [[*threes, 3]] * 2


def test_what_cannot_come_counts_nothing(fast):
    logits = np.full((2, 300), -np.inf, np.float32)
    logits[:, [7, 290]] = 2
    logits[1, 7] = 3e38
    top, lse, entropy, before = fast.softmax_summary(logits, np.array([8, 290]), 3)
    assert top.tolist() == [[7, 290, 0], [7, 290, 0]]
    np.testing.assert_allclose(lse, [2 + np.log(2), 3e38], rtol=1e-6)
    np.testing.assert_allclose(entropy, [np.log(2), 0], rtol=1e-6)
    assert before.tolist() == [2, 1]


@pytest.mark.parametrize("bad", [np.nan, np.inf, "all -inf"])
def test_a_row_that_is_no_distribution_is_not_hidden(fast, bad):
    logits, ids = problem(300)
    logits[3] = -np.inf if bad == "all -inf" else logits[3]
    logits[3, 4] = -np.inf if bad == "all -inf" else bad
    for module in (fast, numpy_ref):
        with np.errstate(invalid="ignore"):
            top, lse, entropy, _ = module.softmax_summary(logits, ids, 300)
        assert np.isnan(lse[3]) and np.isnan(entropy[3])
        assert np.isfinite(lse[:3]).all() and np.isfinite(entropy[4:]).all()
        assert ((top >= 0) & (top < 300)).all()


def test_no_rows(fast):
    top, lse, entropy, before = fast.softmax_summary(floats(0, 0, 5), np.zeros(0, np.int64), 2)
    assert top.shape == (0, 2) and lse.shape == entropy.shape == before.shape == (0,)


def test_what_is_not_there_is_refused(fast):
    logits, ids = problem(5)
    for k in (0, 6):
        with pytest.raises(ValueError, match=f"k must be from 1 to 5, not {k}"):
            fast.softmax_summary(logits, ids, k)
    with pytest.raises(IndexError, match="id 5 is outside"):
        fast.softmax_summary(logits, ids * 0 + 5, 1)
