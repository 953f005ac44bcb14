"""Young's and Daly's formulas against lives whose failures are drawn."""

import numpy as np
import pytest

from tinygpt.cluster import failures as f

CASES = [(10.0, 1000.0, 30.0), (60.0, 3600.0, 600.0), (5.0, 200.0, 100.0)]


@pytest.mark.parametrize("checkpoint, between, restart", CASES)
@pytest.mark.parametrize("stretch", [0.3, 1.0, 3.0])
def test_the_effective_share_is_that_of_drawn_lives(checkpoint, between, restart, stretch):
    work = stretch * f.young(checkpoint, between)
    lives = [f.lived(np.random.default_rng(seed), work, checkpoint, between, restart, 1500)
             for seed in range(8)]
    expected = f.effective(work, checkpoint, between, restart)
    error = np.std(lives, ddof=1) / np.sqrt(len(lives))
    assert np.mean(lives) == pytest.approx(expected, abs=4 * error + 1e-3)


@pytest.mark.parametrize("checkpoint, between, restart", CASES)
def test_dalys_interval_is_the_best_and_youngs_is_close(checkpoint, between, restart):
    works = np.geomspace(0.05, 20, 4001) * f.young(checkpoint, between)
    shares = np.array([f.effective(w, checkpoint, between, restart) for w in works])
    best, found = works[shares.argmax()], f.daly(checkpoint, between)
    assert found == pytest.approx(best, rel=0.01)
    assert f.effective(found, checkpoint, between, restart) == pytest.approx(shares.max(), rel=1e-4)
    young = f.effective(f.young(checkpoint, between), checkpoint, between, restart)
    assert shares.max() - young < 0.01


def test_drawn_lives_prefer_dalys_interval_to_a_third_and_to_three_times_of_it():
    checkpoint, between, restart = 60.0, 3600.0, 600.0
    best = f.daly(checkpoint, between)
    found = [np.mean([f.lived(np.random.default_rng(s), w, checkpoint, between, restart, 2000)
                      for s in range(4)]) for w in (best / 3, best, 3 * best)]
    assert found[1] > found[0] and found[1] > found[2]


def test_without_failures_only_the_writing_is_lost():
    assert f.effective(90.0, 10.0, float("inf"), 100.0) == 0.9


@pytest.mark.parametrize("ranks", [2, 8, 100, 1000])
def test_the_slowest_of_many_is_what_drawing_gives(ranks):
    draws = np.random.default_rng(0).normal(1.0, 0.05, (4000, ranks)).max(axis=1).mean()
    assert f.slowest(ranks, 0.05) == pytest.approx(draws, abs=0.003)
    assert f.slowest(1, 0.05) == 1.0
