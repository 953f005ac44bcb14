"""A plan counts right, fits what can be fitted, and refuses the rest."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinygpt.config import ConfigError, from_dict, load_config
from tinygpt.machine.memory import Limit
from tinygpt.model import build
from tinygpt.planning import plan as plans
from tinygpt.planning import probe
from tinygpt.planning.probe import Measured, time_in_place
from tinygpt.pretraining.objective import Pretraining

RUNTIME = 60 << 20


@pytest.fixture
def training():
    return Pretraining(load_config("L", ["model.vocab_size=65"]))


def limited(monkeypatch, megabytes):
    limit = Limit(int(megabytes * 2**20), "the test")
    monkeypatch.setattr(plans, "tightest_limit", lambda: limit)


@pytest.mark.parametrize("name", ["S", "M"])
def test_parameters_are_counted_as_the_model_counts_them(name):
    config = load_config(name)
    model = build(config.model, np.random.default_rng(0))
    assert Pretraining(config).parameters == model.count_parameters()


def test_less_memory_with_recomputed_activations_and_with_smaller_batches(training):
    whole = training.activation_bytes()
    assert training.with_training(batch_size=8).activation_bytes() < 0.6 * whole
    assert training.with_training(recompute=True).activation_bytes() < 0.6 * whole


def test_fit_keeps_the_effective_batch(monkeypatch, training):
    monkeypatch.setattr(plans, "measure", lambda config, **_: None)
    limited(monkeypatch, 600)
    recipe = plans.fit(training, RUNTIME).config.training
    assert 1 <= recipe.batch_size < 16 and not recipe.recompute
    assert recipe.batch_size * recipe.accumulation == 16


def test_fit_recomputes_only_when_a_single_sequence_is_too_much(monkeypatch, training):
    monkeypatch.setattr(plans, "measure", lambda config, **_: None)
    limited(monkeypatch, 270)
    recipe = plans.fit(training, RUNTIME).config.training
    assert recipe.recompute
    assert recipe.batch_size * recipe.accumulation == 16


def test_what_cannot_fit_is_refused_with_exit_code_2(monkeypatch, training):
    limited(monkeypatch, 150)
    with pytest.raises(ConfigError, match="smaller model") as caught:
        plans.fit(training, RUNTIME)
    assert caught.value.exit_code == 2


def test_a_refusal_names_the_largest_setting_that_fits(monkeypatch, training):
    limited(monkeypatch, 600)
    plan = plans.make_plan(training, RUNTIME, trial=False)
    assert not plan.fits
    assert "--set training.batch_size=" in plans.refusal(plan)
    assert "--fit" in plans.refusal(plan)


def test_a_trial_corrects_memory_and_gives_times(monkeypatch, training):
    small = training.with_training(batch_size=4, accumulation=2, steps=100, eval_every=None)
    counted = plans.estimate(small, RUNTIME)
    peak = counted.total + (30 << 20)
    measured = Measured(RUNTIME, peak, RUNTIME, peak, 4, (0.9, 1.0, 1.2), 0.1)
    monkeypatch.setattr(plans, "measure", lambda config, **_: measured)
    limited(monkeypatch, 4000)
    plan = plans.make_plan(small, RUNTIME)
    assert plan.memory.total == pytest.approx(peak, rel=0.01)
    likely, low, high = plan.step_seconds
    assert low < likely < high and likely == pytest.approx(2.1)
    assert plan.total_seconds[0] == pytest.approx(210)


def test_a_busy_machine_is_said(monkeypatch, training):
    from tinygpt.screens import plan as plan_view

    monkeypatch.setattr(Pretraining, "data_tokens", lambda self: (1000, 100))
    for others, said in ((0.02, False), (0.4, True)):
        measured = Measured(RUNTIME, RUNTIME, RUNTIME, RUNTIME, 16, (0.9, 1.0, 1.2), 0.1, others)
        monkeypatch.setattr(plans, "measure", lambda config, seen=measured, **_: seen)
        facts = plan_view._facts(plans.make_plan(training, RUNTIME), None)
        assert any("40%" in text for _, text in facts) is said


def test_a_trial_sees_what_other_programs_take():
    if not Path("/proc/stat").exists():
        pytest.skip("only Linux says what other programs take")
    worked, own, clock = probe._processors()
    other = subprocess.run([sys.executable, "-c", "sum(range(20_000_000))"], check=True)
    after = probe._processors()
    assert other.returncode == 0
    assert (after[0] - worked) - (after[1] - own) > 0.1  # seconds
    assert after[2] > clock


def test_timing_a_session_leaves_it_as_it_was(tiny_config, tmp_path):
    from tinygpt.training.begin import begin

    session = begin(tiny_config, tmp_path / "run")
    before = {name: array.copy() for name, array in session.model.state_dict().items()}
    random = session.state.rng.bit_generator.state
    low, likely, high = time_in_place(session, seconds=0.05)
    assert 0 < low <= likely <= high
    assert session.state.rng.bit_generator.state == random
    for name, array in session.model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert all(p.grad is None for p in session.model.parameters())


def test_candidates_never_need_more_memory_than_the_one_before():
    training = Pretraining(from_dict({"training": {"batch_size": 12, "accumulation": 2}}))
    needs = [plans.estimate(c, 0).total for c in plans.candidates(training)]
    half = len(needs) // 2
    assert needs[:half] == sorted(needs[:half], reverse=True)
    assert needs[half:] == sorted(needs[half:], reverse=True)
    recipes = {dataclasses.astuple(c.config.training) for c in plans.candidates(training)}
    assert len(recipes) == len(needs)


def test_a_batch_that_no_memory_holds_is_tried_small_and_refused(monkeypatch):
    small = from_dict({"model": {"vocab_size": 65}, "training": {"batch_size": 10**9}})
    tried = []

    def quick(objective, room):
        tried.append(probe.measure(objective, seconds=0.1, room=room))
        return tried[-1]

    monkeypatch.setattr(plans, "measure", quick)
    plan = plans.make_plan(Pretraining(small), RUNTIME)
    assert not plan.fits and "--set training.batch_size=" in plans.refusal(plan)
    assert 1 <= tried[0].batch_size < 10**5
    assert tried[0].peak - tried[0].base < 2 * probe.ROOM
    assert plan.tokens == 2000 * 10**9 * small.model.context
    assert plan.step_seconds[0] > 1e4


def test_where_one_sequence_is_too_much_nothing_is_tried(monkeypatch, training):
    monkeypatch.setattr(plans, "measure", None)
    limited(monkeypatch, 150)
    assert plans.make_plan(training, RUNTIME).step_seconds is None


def test_a_trial_keeps_to_what_the_limit_leaves(monkeypatch, training):
    rooms = []
    monkeypatch.setattr(plans, "measure", lambda config, room: rooms.append(room))
    for megabytes in (500, 100_000):
        limited(monkeypatch, megabytes)
        plans.make_plan(training, RUNTIME)
    assert 0 < rooms[0] < 300 << 20 and rooms[1] == probe.ROOM


def test_a_step_is_as_many_passes_as_its_batch_has_of_the_trials():
    measured = Measured(0, 0, 0, 0, 4, (0.9, 1.0, 1.1), 0.5)
    recipe = from_dict({"training": {"batch_size": 8, "accumulation": 3}}).training
    assert measured.step_seconds(recipe) == pytest.approx((5.9, 6.5, 7.1))


def test_the_end_of_a_run_is_named_as_far_as_it_can_be():
    from tinygpt.screens.plan import time_line

    assert "between" in time_line(1, 1e5, 1e5, 2e5)
    assert ":" not in time_line(1, 1e6, 1e6, 2e6).replace(": done", "")  # days, no hours
    for seconds in (1e9, 1e15):
        assert "done" not in time_line(1, seconds, seconds, seconds)
