"""Bytes of an accelerator, against the figures of the papers that the formulas are from."""

import pytest

from tinygpt.cluster.memory import in_flight, kept, memory, states
from tinygpt.cluster.schedule import in_flight as counted
from tinygpt.cluster.schedule import interleaved, one_f_one_b, simulate
from tinygpt.cluster.shape import Cut, Model

GPT3 = Model(96, 12288, 96, 51200, 2048)


@pytest.mark.parametrize("zero, gigabytes", [(0, 120), (1, 31.4), (2, 16.6), (3, 1.88)])
def test_zero_needs_what_its_paper_says_of_7_5_billion_on_64(zero, gigabytes):
    assert sum(states(7.5e9, 64, zero)) / 1e9 == pytest.approx(gigabytes, rel=0.01)


def test_a_layer_of_gpt3_keeps_what_korthikanti_says():
    plain = kept(GPT3, Cut(fused=False))
    assert plain == 2048 * 12288 * (34 + 5 * 96 * 2048 / 12288)
    both = kept(GPT3, Cut(tensor=8, fused=False, sequence=True))
    assert both == plain / 8
    assert kept(GPT3, Cut(tensor=8, fused=False)) == 2048 * 12288 * (10 + 24 / 8 + 80 / 8)


@pytest.mark.parametrize("stages, micros, chunks", [(4, 16, 1), (8, 4, 1), (4, 16, 2), (8, 32, 4)])
def test_microbatches_in_flight_are_those_of_the_simulated_schedule(stages, micros, chunks):
    order = interleaved(stages, micros, chunks) if chunks > 1 else one_f_one_b(stages, micros)
    seen = counted(simulate(order, 1.0, 2.0)) / chunks
    cut = Cut(pipeline=stages, chunks=chunks)
    assert in_flight(cut, micros) == pytest.approx(seen, abs=1 / chunks)


def test_recomputing_and_each_stage_of_zero_need_less():
    totals = [memory(GPT3, Cut(16, 8, 8, zero=z, recompute=True), 1536).total for z in range(4)]
    assert totals == sorted(totals, reverse=True)
    assert memory(GPT3, Cut(16, 8, 8), 1536).total > totals[1]


def test_there_is_no_stage_4():
    with pytest.raises(ValueError, match="0 to 3, not 4"):
        states(1e9, 8, 4)
