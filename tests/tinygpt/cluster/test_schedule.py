"""A simulated pipeline has the bubble of the formulas, and says more where they are silent."""

import numpy as np
import pytest

from tinygpt.cluster import schedule as s

SIZES = [(1, 1), (1, 7), (2, 2), (4, 4), (4, 16), (7, 21), (8, 64)]


@pytest.mark.parametrize("stages, micros", SIZES)
@pytest.mark.parametrize("make", [s.one_f_one_b, s.all_forward])
def test_the_bubble_is_p_minus_1_of_m(make, stages, micros):
    events = s.simulate(make(stages, micros), 1.0, 2.0)
    assert s.bubble(events) == pytest.approx((stages - 1) / micros)


@pytest.mark.parametrize("stages, micros", SIZES)
@pytest.mark.parametrize("chunks", [2, 3, 8])
def test_interleaving_divides_the_bubble_by_the_chunks(stages, micros, chunks):
    events = s.simulate(s.interleaved(stages, micros, chunks), 1.0 / chunks, 2.0 / chunks)
    assert s.bubble(events) == pytest.approx((stages - 1) / (micros * chunks))


@pytest.mark.parametrize("stages, micros", SIZES)
def test_one_f_one_b_keeps_at_most_as_many_microbatches_as_stages(stages, micros):
    kept = s.in_flight(s.simulate(s.one_f_one_b(stages, micros), 1.0, 2.0))
    assert kept == min(stages, micros)
    assert s.in_flight(s.simulate(s.all_forward(stages, micros), 1.0, 2.0)) == micros


@pytest.mark.parametrize("order", [s.one_f_one_b(4, 8), s.all_forward(3, 5),
                                   s.interleaved(4, 8, 3), s.interleaved(1, 3, 2)])
def test_every_stage_does_every_task_once_and_only_after_what_it_needs(order):
    events = s.simulate(order, 1.0, 2.0, link=0.25)
    ends = {(e.stage, e.task): e.end for e in events}
    assert len(ends) == len(events) == sum(len(tasks) for tasks in order)
    chunks = 1 + max(task.chunk for task in order[0])
    depth = [(c, stage) for c in range(chunks) for stage in range(len(order))]
    for event in events:
        place = depth.index((event.task.chunk, event.stage))
        if event.task.forward and place:
            chunk, stage = depth[place - 1]
            assert event.start >= ends[stage, event.task._replace(chunk=chunk)]
        if not event.task.forward and place < len(depth) - 1:
            chunk, stage = depth[place + 1]
            assert event.start >= ends[stage, event.task._replace(chunk=chunk)]
    for stage in range(len(order)):
        own = [e for e in events if e.stage == stage]
        assert all(a.end <= b.start for a, b in zip(own, own[1:], strict=False))


def test_a_slow_stage_sets_the_pace_of_all():
    plain = s.makespan(s.simulate(s.one_f_one_b(4, 64), 1.0, 2.0))
    slow = s.makespan(s.simulate(s.one_f_one_b(4, 64), 1.0, 2.0, slower=[1, 1, 1.5, 1]))
    assert 1.4 < slow / plain <= 1.5  # filling and draining go at the others' pace


def test_links_cost_latency_and_more_of_it_with_more_chunks():
    def lost(order, chunks):
        ends = [s.makespan(s.simulate(order, 1 / chunks, 2 / chunks, link=d)) for d in (0, 0.1)]
        return ends[1] - ends[0]

    assert 0 < lost(s.one_f_one_b(4, 16), 1) < lost(s.interleaved(4, 16, 4), 4)


def test_a_schedule_that_waits_for_itself_is_refused():
    order = s.one_f_one_b(2, 2)
    order[0].reverse()
    with pytest.raises(ValueError, match="waits for another"):
        s.simulate(order, 1.0, 2.0)


@pytest.mark.parametrize("call", [
    lambda: s.one_f_one_b(0, 1), lambda: s.one_f_one_b(2, 0), lambda: s.interleaved(2, 2, 0),
    lambda: s.interleaved(4, 6, 2),
])
def test_bad_sizes_are_named(call):
    with pytest.raises(ValueError, match="at least 1|no multiple"):
        call()


def test_times_that_differ_by_microbatch_are_never_faster_than_the_mean_of_them():
    rng = np.random.default_rng(0)
    factors = rng.uniform(0.8, 1.2, 4)
    events = s.simulate(s.one_f_one_b(4, 32), 1.0, 2.0, slower=factors)
    assert s.makespan(events) > 32 * 3 * factors.max()
