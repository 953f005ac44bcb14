"""Intervals cover the truth as often as they say, in simulations whose truth is known."""

import math

import numpy as np
import pytest

from tinygpt.evaluation import intervals
from tinygpt.evaluation.intervals import chance, difference, mean, ratio, share, t_quantile

SIMULATIONS = 1000


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def quick(monkeypatch):
    """So many simulations take seconds with fewer resamples, and are a little less exact."""
    monkeypatch.setattr(intervals, "RESAMPLES", 400)


def test_the_interval_of_bits_per_byte_covers_the_truth(rng, quick):
    """Documents differ in length and in how hard they are; the longer are the easier."""
    covered = 0
    for _ in range(SIMULATIONS):
        size = rng.gamma(4.0, 250.0, 60)
        hard = 2.0 + rng.normal(0, 0.4, 60) + 250.0 / (size + 250.0)
        covered += ratio(hard * size, size, rng).covers(TRUE_BITS)
    assert 0.93 <= covered / SIMULATIONS <= 0.97


def _true_bits():
    size = np.random.default_rng(0).gamma(4.0, 250.0, 2_000_000)
    return 2.0 + float((250.0 * size / (size + 250.0)).sum() / size.sum())


TRUE_BITS = _true_bits()


@pytest.mark.parametrize("documents", [20, 50])
def test_the_interval_of_clustered_answers_covers_the_truth(documents, rng, quick):
    """Twenty questions to each document, which share how easy it is."""
    covered = naive = 0
    clusters = np.repeat(np.arange(documents), 20)
    for _ in range(SIMULATIONS):
        easy = np.clip(rng.normal(0.6, 0.15, documents), 0, 1)
        right = rng.random(documents * 20) < easy[clusters]
        covered += share(right, clusters, rng).covers(TRUE_EASE)
        naive += share(right, None, rng).covers(TRUE_EASE)
    assert 0.93 <= covered / SIMULATIONS <= 0.97
    assert naive / SIMULATIONS < 0.85  # what forgetting the documents would do


TRUE_EASE = float(np.clip(np.random.default_rng(1).normal(0.6, 0.15, 4_000_000), 0, 1).mean())


@pytest.mark.parametrize("truth", [0.25, 0.9])
def test_the_interval_of_single_answers_covers_the_truth(truth, rng):
    covered = sum(
        share(rng.random(200) < truth, None, rng).covers(truth) for _ in range(SIMULATIONS)
    )
    assert 0.93 <= covered / SIMULATIONS <= 0.97


def test_a_difference_of_nothing_is_seen_in_one_of_twenty(rng, quick):
    seen = 0
    for _ in range(SIMULATIONS):
        hard = rng.normal(2.0, 0.5, 40)
        a, b = hard + rng.normal(0, 0.05, 40), hard + rng.normal(0, 0.05, 40)
        seen += difference(a, b, np.ones(40), rng).seen
    assert 0.03 <= seen / SIMULATIONS <= 0.07


def test_the_detectable_difference_is_seen_as_often_as_it_says(rng, quick):
    error = math.sqrt(2 * 0.05**2 / 40)
    least, seen = intervals.detectable(error, 40), 0
    for _ in range(500):
        a, b = rng.normal(0, 0.05, 40), rng.normal(least, 0.05, 40)
        seen += difference(a, b, np.ones(40), rng).seen
    assert 0.74 <= seen / 500 <= 0.86


def test_pairing_takes_out_what_is_hard_for_both(rng):
    hard, size = rng.normal(2.0, 0.5, 50), rng.integers(50, 500, 50)
    a, b = size * (hard + rng.normal(0, 0.02, 50)), size * (hard - 0.1)
    paired = difference(a, b, size, rng).interval
    apart = math.hypot(ratio(a, size, rng).error, ratio(b, size, rng).error)
    assert paired.error < apart / 5
    assert paired.high < 0


def test_chance_is_the_binomial_where_all_items_are_alike():
    low, high = chance([0.25] * 100)
    probability = [math.comb(100, k) * 0.25**k * 0.75 ** (100 - k) for k in range(101)]
    below, above = round(100 * low), round(100 * high)
    assert sum(probability[:below]) <= 0.025 < sum(probability[: below + 1])
    assert sum(probability[above + 1 :]) <= 0.025 < sum(probability[above:])


def test_chance_of_sure_items_is_sure():
    assert chance([1.0, 1.0, 0.0, 0.0]) == (0.5, 0.5)


def test_all_right_is_no_proof_of_being_always_right(rng):
    found = share([1] * 20, None, rng)
    assert found.value == 1 and found.low == pytest.approx(0.8389, abs=1e-4)
    clustered = share([1] * 20, ["a", "b"] * 10, rng)
    assert clustered.low < found.low


def test_two_documents_say_nothing_of_a_third(rng):
    found = ratio([1.0, 2.0], [1.0, 1.0], rng)
    assert found.value == 1.5 and not found.known


def test_no_cluster_is_an_error(rng):
    with pytest.raises(ValueError, match="0 numbers"):
        mean([], None, rng)


@pytest.mark.parametrize(
    ("p", "freedom", "value"),
    [(0.975, 1, 12.706204736), (0.975, 2, 4.302652730), (0.975, 3, 3.182446305),
     (0.975, 4, 2.776445105), (0.975, 5, 2.570581836), (0.9, 7, 1.414923928),
     (0.995, 10, 3.169272673), (0.975, 61, 1.999623585), (0.975, 1000, 1.962339081)],
)
def test_t_quantiles_are_the_tables(p, freedom, value):
    assert t_quantile(p, freedom) == pytest.approx(value, abs=1e-8)
