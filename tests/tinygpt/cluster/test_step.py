"""Seconds of a step: parts that can be worked out by hand, and bounds."""

import pytest

from tinygpt.cluster.machines import A100, Cluster
from tinygpt.cluster.shape import Cut, Model
from tinygpt.cluster.step import all_reduce, busiest, data_seconds, step

GPT3 = Model(96, 12288, 96, 51200, 2048)
LLAMA2 = Model(80, 8192, 64, 32000, 4096, 28672, 8, gated=True, tied=False)
LLAMA3 = Model(126, 16384, 128, 128256, 8192, 53248, 8, gated=True, tied=False)


@pytest.mark.parametrize("model, billions", [(GPT3, 174.6), (LLAMA2, 69.0), (LLAMA3, 405.85)])
def test_parameters_are_those_of_the_models(model, billions):
    assert model.parameters / 1e9 == pytest.approx(billions, abs=0.05)


def test_a_sum_over_two_ranks_sends_all_of_it_once():
    assert all_reduce(100.0, 2, 50.0) == 2.0
    assert all_reduce(100.0, 1, 50.0) == 0.0


def test_the_bubble_is_the_schedules_where_links_take_no_time():
    cluster = Cluster(A100, 32, 1e30, latency=0.0)
    made = step(GPT3, Cut(1, 4, 8), cluster, 56)
    assert made.bubble / (made.products + made.memory + made.tensor) == pytest.approx(7 / 56)


def test_no_step_is_faster_than_its_products():
    cluster = Cluster(A100, 1024, 25e9)
    made = step(GPT3, Cut(16, 8, 8, recompute=True), cluster, 1536)
    assert made.rate < A100.peak * A100.matmul
    assert made.seconds == pytest.approx(sum(made[:6]))


def test_recomputing_costs_a_third_of_the_products():
    cluster = Cluster(A100, 64, 25e9)
    plain, again = (step(GPT3, Cut(1, 8, 8, recompute=r), cluster, 64) for r in (False, True))
    assert again.products / plain.products == pytest.approx(4 / 3)
    assert again.flops == plain.flops


def test_zero_3_sends_half_as_much_again_and_ranks_of_a_node_share_its_links():
    cluster = Cluster(A100, 64, 25e9)
    two, three = (data_seconds(1e9, Cut(8, 8, 1, zero=z), cluster, 1) for z in (2, 3))
    assert three == pytest.approx(1.5 * two)
    assert two == pytest.approx(2 * 7 / 8 * 2e9 / (cluster.network * 25e9))


@pytest.mark.parametrize("layers, stages, vocab, expected", [
    (8, 4, 0, 2), (7, 4, 0, 2), (6, 4, 0, 2), (8, 1, 0, 8),
])
def test_the_busiest_stage_has_the_layers_that_do_not_divide(layers, stages, vocab, expected):
    assert busiest(Model(layers, 64, 4, vocab, 128), stages) == expected


def test_a_large_head_makes_the_last_stage_the_busiest():
    assert busiest(Model(70, 14336, 112, 250880, 2048), 12) == pytest.approx(6.4, abs=0.1)


def test_a_cut_that_is_not_the_clusters_is_refused():
    with pytest.raises(ValueError, match="are not the cluster's 16"):
        step(GPT3, Cut(2, 4, 1), Cluster(A100, 16, 25e9), 16)
    with pytest.raises(ValueError, match="does not divide"):
        step(GPT3, Cut(3, 1, 1), Cluster(A100, 3, 25e9), 16)


def test_widened_gradients_move_18_bytes_a_microbatch_and_sum_32_bits():
    cluster = Cluster(A100, 16, 25e9)
    plain, wide = (
        step(GPT3, Cut(2, 8, 1, widened=w), cluster, 64) for w in (False, True)
    )
    parameters = GPT3.parameters / 8
    moved = (wide.optimizer - plain.optimizer) * A100.bandwidth
    assert moved == pytest.approx(32 * 18 * parameters)
    assert wide.data / plain.data == pytest.approx((2 * 4 + 2) / (2 * 2))
