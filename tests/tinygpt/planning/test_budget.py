"""A budget's text, the sizes it can pay for, and a command that runs."""

import math

import numpy as np
import pytest

from tests.tinygpt.planning.test_ranks import refused
from tests.tinygpt.planning.test_scaling import TRUE
from tinygpt.config import from_dict, override
from tinygpt.errors import UsageError
from tinygpt.planning import budget
from tinygpt.planning.dial import work
from tinygpt.planning.ranks import read_link
from tinygpt.planning.scaling import Law

LAW = Law(TRUE, (TRUE,) * 3, np.array([-0.01, 0.01]))


@pytest.mark.parametrize("text, hours", [
    ("48 hours", 48), ("48h", 48), ("1 hour", 1), ("90 min", 1.5), ("30 minutes", 0.5),
    ("2 days", 48), ("1.5 d", 36), (" 1 Week ", 168), ("2 hrs.", 2), ("90m", 1.5),
])
def test_times_are_read_as_people_write_them(text, hours):
    assert budget.read_budget(text) == pytest.approx(hours)


def test_money_is_divided_by_what_an_hour_costs():
    assert budget.read_budget("12", 0.25) == 48


@pytest.mark.parametrize("text, hourly", [
    ("", None), ("soon", None), ("48", None), ("hours", None), ("-3 hours", None),
    ("3 months", None),
    ("12", 0.0), ("12", -1.0), ("12", math.nan), ("48 hours", 0.5), ("0 hours", None),
    ("1e9 hours", None), ("99999 days", None), ("1 second", None),
])
def test_what_is_no_budget_is_refused_in_two_sentences(text, hourly):
    with pytest.raises(UsageError, match=r"\. Give "):
        budget.read_budget(text, hourly)


def test_every_size_gets_as_many_steps_as_the_time_holds():
    speed, seconds = 5e10, 3600.0
    for one in budget.choices(seconds, speed, LAW):
        step = work(budget.shape_of(one.layers, one.width), budget.BATCH * budget.CONTEXT) / speed
        assert one.steps * step <= seconds < (one.steps + 1) * step
        assert one.tokens == one.steps * budget.BATCH * budget.CONTEXT
        assert one.low < one.loss < one.high


def test_the_first_has_the_least_loss_and_more_time_chooses_no_smaller():
    best = []
    for seconds in (60.0, 3600.0, 172800.0):
        found = budget.choices(seconds, 5e10, LAW)
        assert found[0].loss == min(one.loss for one in found)
        best.append(found[0].parameters)
    assert best == sorted(best) and best[0] < best[-1]


def test_machines_gain_less_than_their_number_and_more_by_a_faster_cable():
    alone = {one.parameters: one for one in budget.choices(3600.0, 5e10, LAW)}
    before = dict.fromkeys(alone, 0.0)
    for name in ("100mbit", "1gbit", "10gbit"):
        for one in budget.choices(3600.0, 5e10, LAW, 4, read_link(name)):
            assert before[one.parameters] < one.gain < 4
            before[one.parameters] = one.gain
            assert one.steps == pytest.approx(one.gain * alone[one.parameters].steps, abs=one.gain)
    slow = budget.choices(3600.0, 5e10, LAW, 4, read_link("100mbit"))[0]
    assert slow.way == "int8" and budget.settings(slow)[-1] == "training.exchange=int8"


def test_the_settings_make_the_training_that_was_chosen():
    one = budget.choices(600.0, 5e10, LAW)[0]
    config = from_dict(override({}, budget.settings(one)))
    assert config.model.n_layers == one.layers and config.model.d_model == one.width
    assert config.training.steps == one.steps and config.training.optimizer == "muon"
    assert config.training.batch_size * config.model.context == budget.BATCH * budget.CONTEXT
    assert config.data.stories_mb * 1e6 * (1 - budget.HELD_OUT) >= one.tokens


def test_energy_is_a_number_or_a_reason(monkeypatch, tmp_path):
    monkeypatch.setattr("tinygpt.planning.dial.speed_here", lambda seconds: 1e10)
    monkeypatch.setattr(budget, "PACKAGES", tmp_path)
    monkeypatch.setattr(budget.Meter, "find", classmethod(lambda cls: None))
    assert "nothing counts it" in budget.speed_and_power(1.0).why
    (tmp_path / "intel-rapl:0").mkdir()
    assert "root alone" in budget.speed_and_power(1.0).why
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("5")
    (tmp_path / "intel-rapl:0" / "max_energy_range_uj").write_text("1000000000")
    found = budget.Meter([(tmp_path / "intel-rapl:0" / "energy_uj", 10**9)])
    monkeypatch.setattr(budget.Meter, "find", classmethod(lambda cls: found))
    metered = budget.speed_and_power(1.0)
    assert metered.watts == 0.0 and not metered.why


@pytest.mark.parametrize("arguments, says", [
    (["--budget", "soon"], "'soon' is no time"),
    (["S", "--budget", "1 hour"], "give it alone"),
    (["--budget", "1 hour", "--ranks", "1"], "that is one machine"),
    (["--budget", "1 hour", "--ranks", "9"], "divides among 8 at most"),
    (["--budget", "1 hour", "--ranks", "2", "--link", "rope"], "'rope' is no link"),
    (["--budget", "1 hour", "--link", "1gbit"], "--link goes with --ranks"),
    (["--hourly", "2"], "goes with --budget"),
])
def test_mistakes_are_usage_errors(arguments, says, capsys):
    assert says in refused(["plan", *arguments], capsys)
