"""Which steps are trusted: the limits of trouble.py at the values that its words promise.

A window without spread leaves the least deviations: a loss is refused above exp(6 * 0.03) = 1.197
times the usual one, a gradient norm above exp(6 * 0.25) = 4.48 times.
"""

import math

import pytest

from tinygpt.training.state import TrainState
from tinygpt.training.trouble import (
    drifting,
    judge_finite,
    judge_norms,
    judge_spikes,
)

BOTH = pytest.mark.parametrize("judge", [judge_norms, judge_spikes])


def usual(losses, norms=None, **values):
    """A state whose last steps had these losses."""
    return TrainState(losses=list(losses), norms=list(norms or [1.0] * len(losses)), **values)


def test_what_is_no_number_is_refused_and_named():
    state = TrainState()
    assert judge_finite(state, 1.0, 1.0) is None
    assert judge_finite(state, math.nan, 1.0) == "the loss is nan"
    assert judge_finite(state, -math.inf, 1.0) == "the loss is -inf"
    assert judge_finite(state, 1.0, math.inf) == "the gradient norm is inf"


@BOTH
def test_no_judge_lets_pass_what_is_no_number(judge):
    state = TrainState()
    assert judge(state, math.nan, 1.0) == "the loss is nan"
    assert judge(state, 1.0, math.nan) == "the gradient norm is nan"
    assert (state.skipped, state.losses, state.norms) == (2, [], [])


@BOTH
@pytest.mark.parametrize("usual_norm", [0.01, 1.0, 300.0])
def test_a_norm_is_refused_above_its_limit(judge, usual_norm):
    norms = [usual_norm] * 30
    assert judge(usual([2.0] * 30, norms), 2.0, 4.47 * usual_norm) is None
    why = judge(usual([2.0] * 30, norms), 2.0, 4.49 * usual_norm)
    assert why is not None and why.startswith("the gradient norm jumped to ") and "z = 6" in why


def test_a_loss_is_refused_above_its_limit_where_losses_are_positive():
    assert judge_spikes(usual([2.0] * 30), 2 * 1.197, 1.0) is None
    why = judge_spikes(usual([2.0] * 30), 2 * 1.198, 1.0)
    assert why == "the loss jumped to 2.4 (usually about 2, z = 6)"
    assert judge_norms(usual([2.0] * 30), 200.0, 1.0) is None


def test_the_limit_is_six_deviations_where_losses_vary():
    losses = [2 * math.exp(0.1 * (-1) ** step) for step in range(100)]  # deviation 0.1, exactly
    assert judge_spikes(usual(losses), 2 * math.exp(0.59), 1.0) is None
    assert judge_spikes(usual(losses), 2 * math.exp(0.61), 1.0) is not None


def test_nothing_is_unusual_before_thirty_steps():
    assert judge_spikes(usual([2.0] * 29), 50.0, 900.0) is None
    assert judge_spikes(usual([2.0] * 30), 50.0, 1.0) is not None


def test_zeros_among_the_losses_and_norms_are_no_error():
    assert judge_spikes(usual([0.0] * 40, [0.0] * 40), 0.0, 0.0) is None
    assert judge_spikes(usual([0.0] * 40, [0.0] * 40), 1.0, 0.0) is not None
    assert judge_norms(usual([-1.0] * 40, [0.0] * 40), -1.0, 1e-31) is None


@BOTH
def test_a_refused_step_is_counted_and_leaves_what_is_usual_alone(judge):
    state = usual([2.0] * 30, lr_scale=0.5)
    for times in (1, 2, 3):
        assert judge(state, 2.0, 100.0) is not None
        assert (state.skipped, state.skipped_in_a_row) == (times, times)
    assert state.losses == [2.0] * 30 and state.norms == [1.0] * 30 and state.lr_scale == 0.5
    assert judge(state, 2.0, 1.0) is None
    assert (state.skipped, state.skipped_in_a_row) == (3, 0)


@BOTH
def test_the_last_hundred_good_steps_are_what_is_usual(judge):
    state = TrainState()
    for step in range(130):
        judge(state, 2 + step / 1000, 1 + step / 1000)
    assert state.losses == [2 + step / 1000 for step in range(30, 130)]
    assert state.norms == [1 + step / 1000 for step in range(30, 130)]


def test_a_lowered_rate_doubles_in_two_hundred_good_steps_up_to_its_ceiling():
    state = TrainState(lr_scale=0.25, lr_ceiling=0.6)
    for _ in range(200):
        judge_spikes(state, 2.0, 1.0)
    assert state.lr_scale == pytest.approx(0.5)
    for _ in range(200):
        judge_spikes(state, 2.0, 1.0)
    assert state.lr_scale == 0.6


def test_the_lowest_mean_of_thirty_losses_is_kept_with_its_step():
    state = TrainState()
    for step in range(60):
        state.step = step
        judge_spikes(state, 2.0 - 0.001 * min(step, 40), 1.0)  # falls for 40 steps, then stays
        if step == 28:
            assert state.low is None
        if step == 29:
            assert state.low == pytest.approx(2.0 - 0.001 * 14.5) and state.low_step == 29
    assert state.low == pytest.approx(1.96 + 0.001 * sum(range(11)) / 30, abs=1e-12)
    low, step = state.low, state.low_step
    state.step = 60
    judge_spikes(state, 2.1, 1.0)
    assert (state.low, state.low_step) == (low, step)


def test_of_equal_means_the_first_counts():
    state = TrainState()
    for step in range(40):
        state.step = step
        judge_norms(state, 2.0, 1.0)
    assert (state.low, state.low_step) == (2.0, 29)


def risen(factor, low=2.0, steps=100):
    """The last 30 of `steps` losses are `factor` times as high as the lowest mean was."""
    return usual([low] * (steps - 30) + [low * factor] * 30, low=low, low_step=7)


def test_a_rise_by_a_tenth_is_a_drift():
    assert drifting(risen(1.09)) is None
    assert drifting(risen(1.11)) == (
        "the loss has risen to 2.220 over the last 30 steps; at step 7 it was 2.000"
    )
    assert drifting(risen(1.11, steps=99)) is None


def test_a_small_rise_of_a_small_loss_is_none():
    assert drifting(usual([0.149] * 100, low=0.1)) is None
    assert drifting(usual([0.151] * 100, low=0.1)) is not None


def test_a_rise_within_eight_deviations_of_a_mean_is_noise():
    noisy = [2 * math.exp(0.3 * (-1) ** step) for step in range(100)]  # mean 2.0907
    limit = 1 + 8 * 0.3 / math.sqrt(30)
    assert drifting(usual(noisy, low=2.0907 / limit * 1.005)) is None
    assert drifting(usual(noisy, low=2.0907 / limit * 0.995)) is not None


@pytest.mark.parametrize("low", [None, 0.0, -1.0])
def test_without_a_positive_lowest_loss_nothing_drifts(low):
    assert drifting(usual([3.0] * 100, low=low)) is None


def test_a_loss_of_zero_or_less_among_the_last_ones_says_that_nothing_drifts():
    assert drifting(usual([0.0] + [3.0] * 99, low=1.0)) is None
    assert drifting(usual([0.5] + [3.0] * 99, low=1.0)) is not None
