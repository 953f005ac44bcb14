"""A training with a deadline makes as many steps as the time allows, and ends as any other."""

import json

import pytest

from tinygpt.training.begin import begin, resume
from tinygpt.training.deadline import LOOKS, SLACK, Deadline
from tinygpt.training.trainer import Trainer


class Clock:
    """Seconds that the test decides."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def drive(deadline, clock, planned, each, limit=10_000):
    """Steps made, and the plan after every one; each: step -> seconds."""
    plans, made = [planned], 0
    while made < plans[-1]:
        assert made < limit
        clock.now += each(made)
        made += 1
        plans.append(deadline.steps(made, plans[-1]))
    return made, plans


def test_a_forecast_that_is_right_stays():
    clock = Clock()
    made, plans = drive(Deadline(100.0, clock=clock), clock, 200, lambda step: 0.5)
    assert made == 200 and set(plans) == {200}


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_machine_of_another_speed_ends_in_time(factor):
    clock = Clock()
    made, _ = drive(Deadline(100.0, clock=clock), clock, 200, lambda step: 0.5 * factor)
    assert made == pytest.approx(200 / factor, rel=2 * SLACK)
    assert clock.now == pytest.approx(100.0, rel=2 * SLACK)


def test_a_machine_that_becomes_slow_ends_in_time():
    clock = Clock()
    made, plans = drive(
        Deadline(100.0, clock=clock), clock, 200, lambda step: 0.5 if step < 100 else 1.5
    )
    assert clock.now == pytest.approx(100.0, rel=2 * SLACK) and 125 <= made <= 140
    assert len(set(plans)) <= LOOKS


def test_there_are_never_more_steps_than_are_wanted():
    clock = Clock()
    made, _ = drive(Deadline(100.0, most=250, clock=clock), clock, 200, lambda step: 0.1)
    assert made == 250 and clock.now < 30


def test_when_the_time_is_over_the_step_that_was_made_is_the_last():
    clock = Clock()
    made, _ = drive(Deadline(1.0, clock=clock), clock, 200, lambda step: 5.0)
    assert made == 1


def test_a_training_ends_by_the_clock_evaluated_saved_and_at_its_lowest_rate(tiny_config, tmp_path):
    clock = Clock()
    session = begin(tiny_config, tmp_path / "run")

    class Slow(Deadline):
        def steps(self, made, planned):
            clock.now += 1.0
            return super().steps(made, planned)

    outcome = Trainer(session, deadline=Slow(24.0, clock=clock)).run()
    assert outcome.step == session.state.step == session.config.training.steps
    assert 20 <= outcome.step <= 25 and outcome.saved and outcome.val_loss is not None
    kept = json.loads((tmp_path / "run/config.json").read_text())
    assert kept["training"]["steps"] == outcome.step
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    last = [json.loads(line) for line in lines if "lr" in json.loads(line)][-1]
    lowest, highest = tiny_config.training.min_lr, tiny_config.training.lr
    assert lowest <= last["lr"] < lowest + 0.05 * (highest - lowest)
    again = resume(tmp_path / "run")
    assert again.state.step == outcome.step
