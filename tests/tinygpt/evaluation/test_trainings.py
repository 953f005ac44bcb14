"""Intervals over trainings cover a recipe's truth, where those over items do not."""

import math

import numpy as np
import pytest

from tinygpt.errors import UserError
from tinygpt.evaluation.intervals import share, wilson
from tinygpt.evaluation.results import Results
from tinygpt.evaluation.tables import paired
from tinygpt.evaluation.trainings import of_items_too, of_trainings, recipes

SIMULATIONS = 1000
TRUTH = 0.6


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.mark.parametrize("trainings", [3, 5])
@pytest.mark.parametrize("luck", [0.0, 0.05])
def test_an_interval_over_trainings_covers_what_was_planted(trainings, luck, rng):
    """Sixty items of its own for each training; `luck` shifts all that one training says."""
    covered = alone = 0
    for _ in range(SIMULATIONS):
        easy = TRUTH + luck * rng.normal(size=trainings)
        right = rng.random((trainings, 60)) < easy[:, None]
        covered += of_trainings(right.mean(axis=1), share=True).covers(TRUTH)
        alone += share(right[0], None, rng).covers(TRUTH)
    assert 0.93 <= covered / SIMULATIONS <= 0.97
    assert luck == 0.0 or alone / SIMULATIONS < 0.9  # what one training promises


@pytest.mark.parametrize("trainings", [3, 5])
@pytest.mark.parametrize(
    ("luck", "hard", "rest"), [(0.05, 0.0, 0.2), (0.02, 0.2, 0.1), (0.0, 0.2, 0.05)]
)
def test_the_interval_covers_where_all_trainings_were_asked_the_same(
    trainings, luck, hard, rest, rng
):
    """Forty items, of which some are hard for every training."""
    covered = pooled = 0
    for _ in range(SIMULATIONS):
        z = (TRUTH + luck * rng.normal(size=(trainings, 1)) + hard * rng.normal(size=40)
             + rest * rng.normal(size=(trainings, 40)))
        covered += of_items_too(z, np.ones(40)).covers(TRUTH)
        pooled += abs(z.mean() - TRUTH) < 1.96 * z.std() / math.sqrt(z.size)
    assert 0.93 <= covered / SIMULATIONS <= 0.97
    assert pooled / SIMULATIONS < 0.9  # what taking every answer for a witness would do


def test_three_trainings_are_student_s_interval():
    found = of_trainings([0.513, 0.511, 0.473])
    assert found.value == pytest.approx(0.499) and found.clusters == 3
    assert (found.low, found.high) == pytest.approx((0.443, 0.555), abs=5e-4)


def test_where_items_are_of_one_hardness_and_size_the_spread_of_trainings_is_all():
    y = np.array([0.5, 0.6, 0.75])
    found = of_items_too(np.outer(y, np.full(30, 100.0)), np.full(30, 100.0))
    assert found[:4] == pytest.approx(of_trainings(y)[:4])


def test_clusters_of_several_sizes_are_a_ratio_of_sums(rng):
    size = rng.integers(1, 50, 20)
    above = size * rng.random((4, 20))
    assert of_items_too(above, size).value == pytest.approx(above.sum() / (4 * size.sum()))
    assert of_items_too(above, size)[:4] == pytest.approx(of_items_too(above * 3, size * 3)[:4])


def test_all_right_in_every_training_is_no_proof(rng):
    assert of_trainings([1.0] * 5, share=True) == wilson(1.0, 5)
    assert of_items_too(np.ones((5, 9)), np.ones(9), share=True) == wilson(1.0, 5)


def test_a_share_does_not_leave_0_to_1():
    found = of_trainings([1.0, 1.0, 0.9], share=True)
    assert found.high == 1.0 and found.low < 0.9


def test_two_trainings_say_nothing_of_a_third():
    assert not of_trainings([0.4, 0.6]).known
    assert not of_items_too(np.ones((2, 9)), np.ones(9)).known
    assert not of_items_too(np.ones((9, 2)), np.ones(2)).known


def results(seed, shift, items=30):
    rng = np.random.default_rng(4)
    hard = rng.normal(60.0, 10.0, items)
    own = np.random.default_rng(seed)
    header = {"results": 1, "suite": "text", "kind": "text", "model": f"run-{seed}",
              "identity": str(seed), "settings": {}, "notes": []}
    lines = [{"item": str(i), "bytes": 100, "words": 20, "tokens": 30,
              "nats": float(nats + shift + own.normal(0, 0.2))} for i, nats in enumerate(hard)]
    return Results(header, lines)


def of(shifts, **more):
    found = [(results(2 * i, 0.0, **more), results(2 * i + 1, shift, **more))
             for i, shift in enumerate(shifts)]
    return found, [paired(*both) for both in found]


def test_what_each_pair_shows_and_the_recipes_do_not_is_not_seen():
    found, pairs = of([-1.0, 1.0, 0.3, -0.4])
    assert all(pair.change.seen for (pair,) in pairs)
    (pair,) = recipes(found, pairs)
    assert not pair.change.seen and pair.change.interval.clusters == 4
    assert pair.change.detectable > pair.change.interval.error * 3


def test_what_every_pair_shows_alike_is_seen_through_hard_items():
    (pair,) = recipes(*of([-1.0, -1.1, -0.9]))
    assert pair.change.seen and pair.change.interval.high < 0 < pair.a.error
    assert pair.change.interval.error < pair.a.error / 5


def test_one_model_twice_is_no_other_training():
    found, pairs = of([-1.0, 1.0, 0.3])
    with pytest.raises(UserError, match="run-0 and run-0 are one model"):
        recipes([*found, found[0]], [*pairs, pairs[0]])


def test_trainings_that_were_asked_other_items_are_refused():
    (a, more), (b, other) = of([-1.0, 1.0, 0.3]), of([0.5], items=20)
    b = [tuple(Results({**one.header, "identity": f"new{i}"}, one.lines)
               for i, one in enumerate(b[0]))]
    with pytest.raises(UserError, match="not asked the same items"):
        recipes([*a, *b], [*more, *other])


def test_trainings_that_were_asked_otherwise_are_refused():
    found, pairs = of([-1.0, 1.0, 0.3])
    found[1] = tuple(Results({**one.header, "settings": {"text": "another"}}, one.lines)
                     for one in found[1])
    with pytest.raises(UserError, match="not asked the same items"):
        recipes(found, pairs)
