"""A plan for several machines: what it must come to, where one can work it out; what it advises."""

import dataclasses

import pytest

from tinygpt.cli import main
from tinygpt.config import load_config
from tinygpt.distributed import traffic
from tinygpt.errors import UsageError
from tinygpt.machine.memory import Limit
from tinygpt.planning import plan as plans
from tinygpt.planning import ranks
from tinygpt.planning.probe import Measured
from tinygpt.pretraining.objective import Pretraining

EXACT = ("data parallel", "ZeRO-1")


def planned(seconds=1.9, name="L", **training):
    """A plan whose trial took so many seconds a step."""
    config = load_config(name, ["model.vocab_size=65"]).replace("training", **training)
    objective = Pretraining(config)
    size = config.training.batch_size
    update = 0.02 * seconds
    one = (seconds - update) / config.training.accumulation
    trial = Measured(0, 0, 0, 0, size, (one, one, one), update)
    memory = plans.estimate(objective, 60 << 20)
    step = (seconds, seconds, seconds)
    return plans.Plan(objective, memory, None, step, step, 0, 0, trial=trial)


def way(plan, name, n=4, link="1gbit"):
    return next(w for w in ranks.ways(plan, n, ranks.read_link(link)) if w.name == name)


def test_bytes_are_those_of_traffic_py():
    plan, size = planned(), Pretraining(load_config("L", ["model.vocab_size=65"])).parameters
    assert way(plan, "data parallel").traffic == traffic.data_parallel(size, 4)
    assert way(plan, "int8").traffic == traffic.data_parallel_int8(size, 4)
    assert way(plan, "ZeRO-1").traffic == traffic.zero1(size, 4)
    assert way(plan, "local steps").traffic == traffic.local_steps(size, 4, ranks.EVERY)


def test_a_link_without_end_leaves_the_share_the_update_and_the_handling():
    plan = planned()
    found = way(plan, "data parallel", link="9999999")
    alone = plan.trial.pass_seconds[1] / 4 + plan.trial.update_seconds
    handling = found.traffic * ranks.HANDLING
    assert found.seconds == pytest.approx(alone + handling, rel=0.02)


@pytest.mark.parametrize("name", [*EXACT, "int8"])
def test_a_slower_link_is_never_faster(name):
    seconds = [way(planned(), name, link=link).seconds for link in ("10gbit", "1gbit", "100mbit")]
    assert seconds == sorted(seconds)


@pytest.mark.parametrize("n", [2, 4, 8, 16])
def test_no_way_does_more_than_all_machines_together(n):
    plan = planned()
    for found in ranks.ways(plan, n, ranks.read_link("10gbit")):
        assert 0 < found.efficiency <= 1 or found.name == "ZeRO-1"
        assert n * found.seconds * found.efficiency == pytest.approx(
            plan.trial.pass_seconds[1] + plan.trial.update_seconds
        )


def test_traffic_that_sticks_out_of_the_backward_is_waited_for():
    plan = planned(0.1)
    found = way(plan, "data parallel", 2, "100mbit")
    assert found.seconds > found.traffic / ranks.read_link("100mbit").rate


def test_ranks_that_share_unevenly_wait_for_the_one_with_more():
    plan = planned(name="S")  # 12 sequences
    assert way(plan, "data parallel", 5, "10gbit").seconds == pytest.approx(
        way(plan, "data parallel", 4, "10gbit").seconds, rel=0.1
    )


def test_memory_moments_are_divided_and_what_is_added_is_counted():
    plan = planned()
    plain, size = way(plan, "data parallel").memory, plan.objective.parameters
    assert plain < plan.memory.total  # a quarter of the activations
    assert plain - way(plan, "ZeRO-1").memory == pytest.approx(0.75 * plan.memory.moments, abs=2)
    assert way(plan, "int8").memory - plain == 4 * size
    assert way(plan, "local steps").memory - plain == 8 * size


def test_advice_is_the_simplest_that_is_about_as_fast():
    assert "Take data parallel, as it is: 2 machines" in _advice(planned(30.0), 2, "10gbit")
    assert "training.exchange=int8" in _advice(planned(4.0), 4, "300") or (
        "local_steps" in _advice(planned(4.0), 4, "300")
    )
    assert "training.local_steps=30" in _advice(planned(2.0), 4, "100mbit")


def test_one_machine_is_advised_where_more_do_not_pay():
    text = _advice(planned(0.01), 2, "1")
    assert text.startswith("Stay with one machine: 2 over this link do")


def test_zero_is_advised_where_only_it_fits():
    plan = planned(30.0)
    need = [way(plan, name).memory for name in ("ZeRO-1", "data parallel")]
    room = int(sum(need) / 2 / plans.MARGIN)
    tight = dataclasses.replace(plan, limit=Limit(room, "the test"))
    assert "Take ZeRO-1" in _advice(tight, 4, "1gbit")
    none = dataclasses.replace(plan, limit=Limit(1 << 20, "the test"))
    assert _advice(none, 4, "1gbit").startswith("None of these fits")


def _advice(plan, n, link):
    return ranks.advice(plan, n, ranks.read_link(link))


@pytest.mark.parametrize("text, rate", [
    ("100mbit", 100e6 / 8 * 1448 / 1538), (" 1GBIT ", 1e9 / 8 * 1448 / 1538), ("941", 941e6 / 8),
    ("93.5", 93.5e6 / 8), ("1e3", 1e9 / 8),
])
def test_links_by_name_and_as_measured(text, rate):
    assert ranks.read_link(text).rate == pytest.approx(rate)


@pytest.mark.parametrize("text", ["", "fast", "-1", "0", "nan", "inf", "1e9", "2gbit", "1 gbit",
                                  "1_000", "1e400"])
def test_what_is_no_link_is_one_sentence_and_what_to_give(text):
    with pytest.raises(UsageError, match=r"is no link\. Give one of 100mbit"):
        ranks.read_link(text)


@pytest.mark.parametrize("n, says", [
    ("1", "that is one machine"), ("0", "that is one machine"), ("-4", "that is one machine"),
    ("17", "divides among 16 at most"), ("10" * 12, "divides among 16 at most"),
])
def test_bad_ranks_are_refused_before_anything_is_tried(n, says, capsys):
    assert says in refused(["plan", "L", "--ranks", n], capsys)


@pytest.mark.parametrize("arguments, says", [
    (["--link", "1gbit"], "goes with --ranks"),
    (["--ranks", "some"], "not a valid integer"),
    (["--ranks", "2", "--link", "wire"], "'wire' is no link"),
])
def test_other_mistakes_are_named(arguments, says, capsys):
    assert says in refused(["plan", "L", *arguments], capsys)


def refused(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    return capsys.readouterr().err
