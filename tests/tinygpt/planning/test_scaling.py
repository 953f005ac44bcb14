"""A law is found again from what it says; its intervals cover what they say; and our own runs'."""

import numpy as np
import pytest

from bench.scaling import entropy
from tinygpt.planning import scaling
from tinygpt.planning.scaling import Fit, Law, Run, fit

TRUE = Fit(0.55, 8.0, 0.30, 120.0, 0.38)
SIZES, LENGTHS = (2e4, 1e5, 3e5, 8e5, 2.7e6), (2.5e5, 5e5, 1e6, 2e6, 4e6)


def made(noise, seed=0, law=TRUE):
    rng = np.random.default_rng(seed)
    return [Run(n, d, float(law.loss(n, d) * np.exp(rng.normal(0, noise))))
            for n in SIZES for d in LENGTHS]


def test_a_law_without_noise_is_found_again():
    found = fit(made(0.0))
    np.testing.assert_allclose(found, TRUE, rtol=0.05)
    for n, d in ((1e5, 1e6), (1e7, 1e8)):
        assert found.loss(n, d) == pytest.approx(TRUE.loss(n, d), rel=1e-3)


def test_no_constant_is_negative_where_a_term_is_not_there():
    flat = Fit(0.0, 8.0, 0.30, 0.0, 0.38)
    found = fit(made(0.01, law=flat))
    assert min(found) >= 0 and found.loss(1e6, 1e6) == pytest.approx(flat.loss(1e6, 1e6), rel=0.03)


def test_intervals_cover_new_runs_about_as_often_as_they_say():
    covered = []
    for seed in range(6):
        law = Law.of(made(0.01, seed), draws=24)
        rng = np.random.default_rng(100 + seed)
        for n, d in ((6e4, 7e5), (5e5, 3e6), (5e6, 8e6)):
            low, high = law.interval(n, d)
            covered.append(low < TRUE.loss(n, d) * np.exp(rng.normal(0, 0.01)) < high)
    assert 0.75 <= np.mean(covered) <= 1.0


def test_the_best_size_for_a_budget_is_where_the_loss_is_least():
    parameters, tokens = TRUE.optimal(1e15)
    assert 6 * parameters * tokens == pytest.approx(1e15)
    sizes = np.geomspace(0.1, 10, 2001) * parameters
    losses = TRUE.loss(sizes, 1e15 / 6 / sizes)
    assert sizes[losses.argmin()] == pytest.approx(parameters, rel=0.005)


@pytest.mark.parametrize("runs, says", [
    ([Run(1e5, d, 1.0) for d in LENGTHS], "3 sizes, not of 1"),
    ([Run(n, 1e6, 1.0) for n in SIZES], "3 lengths, not of 1"),
])
def test_too_few_kinds_of_runs_are_refused(runs, says):
    with pytest.raises(ValueError, match=says):
        fit(runs)


def test_the_runs_that_ship_are_of_many_sizes_and_fit_their_law_closely():
    kept = scaling.runs()
    assert len({run.parameters for run in kept}) >= 4
    assert np.sqrt(np.mean(scaling.law().misses**2)) < 0.05


def test_the_floor_that_fits_is_no_more_than_the_stories_own_dice_leave_open():
    assert max(scaling.floors(scaling.runs())) < entropy(60)


def test_a_floor_that_is_given_is_kept():
    found = fit(made(0.0), floor=TRUE.floor)
    assert found.floor == TRUE.floor
    np.testing.assert_allclose(found, TRUE, rtol=0.02)


def test_a_run_left_out_is_covered_by_the_intervals_of_the_others():
    kept = scaling.runs()
    covered = []
    for i, run in enumerate(kept):
        law = Law.of([*kept[:i], *kept[i + 1 :]], draws=12)
        low, high = law.interval(run.parameters, run.tokens)
        covered.append(low <= run.loss <= high)
    assert np.mean(covered) >= 0.85


def test_the_dearest_run_left_out_is_covered():
    kept = sorted(scaling.runs(), key=lambda run: run.parameters * run.tokens)
    law = Law.of(kept[:-1], draws=40)
    low, high = law.interval(kept[-1].parameters, kept[-1].tokens)
    assert low <= kept[-1].loss <= high
