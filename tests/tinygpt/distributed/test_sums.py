"""Sums over ranks: their order, their bytes, and what rounding to bytes leaves over."""

import numpy as np
import pytest

from minigrad import tensor
from tinygpt.distributed import traffic
from tinygpt.distributed.buckets import make_buckets
from tinygpt.distributed.courier import Courier
from tinygpt.distributed.sums import (
    BLOCK,
    Int8,
    Plain,
    all_gather,
    all_reduce,
    decode,
    encode,
    reduce_scatter,
)
from tinygpt.distributed.threads import together


def bounds_of(size, ranks):
    return [k * size // ranks for k in range(ranks + 1)]


def values(rank, size):
    return np.random.default_rng(rank).standard_normal(size).astype(np.float32)


IN_PAIRS = {
    1: lambda a: a, 2: lambda a, b: a + b, 3: lambda a, b, c: (a + b) + c,
    5: lambda a, b, c, d, e: ((a + b) + c) + (d + e),
}


@pytest.mark.parametrize("ranks", IN_PAIRS)
def test_a_sum_is_the_same_at_all_ranks_and_added_in_pairs(ranks):
    size = 2 * BLOCK * ranks

    def work(communicator):
        flat = values(communicator.rank, size)
        bounds = bounds_of(size, ranks)
        communicator.finish(all_reduce(communicator, flat, bounds, Plain(), 1))
        return flat, communicator.sent

    right = IN_PAIRS[ranks](*[values(rank, size) for rank in range(ranks)])
    for flat, sent in together(ranks, work):
        np.testing.assert_array_equal(flat, right)
        assert sent == traffic.data_parallel(size, ranks)


def test_the_halves_leave_the_other_parts_alone():
    def work(communicator):
        flat = values(communicator.rank, 3 * BLOCK)
        bounds = [0, BLOCK, BLOCK, 3 * BLOCK]  # one part is empty
        communicator.finish(reduce_scatter(communicator, flat, bounds, Plain(), 1))
        half = flat.copy()
        communicator.finish(all_gather(communicator, flat, bounds, Plain(), 1))
        return half, flat

    (first, whole), _, (third, same) = together(3, work)
    right = values(0, 3 * BLOCK) + values(1, 3 * BLOCK) + values(2, 3 * BLOCK)
    np.testing.assert_array_equal(first[:BLOCK], right[:BLOCK])
    np.testing.assert_array_equal(first[BLOCK:], values(0, 3 * BLOCK)[BLOCK:])
    np.testing.assert_array_equal(third[BLOCK:], right[BLOCK:])
    np.testing.assert_array_equal(whole, right)
    np.testing.assert_array_equal(same, right)


def test_a_byte_each_is_within_half_a_step_and_a_block_of_zeros_stays():
    x = values(0, 3 * BLOCK)
    x[BLOCK : 2 * BLOCK] = 0
    found = decode(encode(x), x.size)
    steps = np.abs(x).reshape(-1, BLOCK).max(1, keepdims=True) / 127
    assert (np.abs(found - x).reshape(-1, BLOCK) <= steps / 2 * 1.0001).all()
    assert encode(x).nbytes == traffic.INT8 * x.size


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_a_block_with_no_number_in_it_decodes_to_none(bad):
    x = values(0, 2 * BLOCK)
    x[3] = bad
    found = decode(encode(x), x.size)
    assert np.isnan(found[:BLOCK]).all() and np.isfinite(found[BLOCK:]).all()


@pytest.mark.parametrize("ranks", [2, 3])
def test_what_rounding_leaves_over_comes_with_the_next_sums(ranks):
    size, rounds = BLOCK * ranks, 50

    def work(communicator):
        codec, total = Int8(size), np.zeros(size)
        for _ in range(rounds):
            flat = values(communicator.rank, size)
            bounds = bounds_of(size, ranks)
            communicator.finish(all_reduce(communicator, flat, bounds, codec, 1))
            total += flat
        return total / rounds, flat, communicator.sent / rounds

    right = sum(values(rank, size) for rank in range(ranks))
    results = together(ranks, work)
    for mean, last, sent in results:
        assert np.abs(last - right).max() > 0.01  # one sum is rounded
        np.testing.assert_allclose(mean, right, atol=0.002)  # their mean is not
        np.testing.assert_array_equal(last, results[0][1])
        assert sent == traffic.data_parallel_int8(size, ranks)


def test_a_bad_step_does_not_come_back_with_the_next():
    def work(communicator):
        codec, sums = Int8(2 * BLOCK), []
        for bad in (np.nan, 0.0):
            flat = np.ones(2 * BLOCK, np.float32)
            flat[7] += bad if communicator.rank == 1 else 0
            communicator.finish(all_reduce(communicator, flat, [0, BLOCK, 2 * BLOCK], codec, 1))
            sums.append(flat)
        return sums

    with np.errstate(invalid="ignore"):
        for first, second in together(2, work):
            assert np.isnan(first[7]) and np.isfinite(second).all()
            np.testing.assert_allclose(second, 2, rtol=0.02)


def parameters(sizes):
    return [tensor(np.zeros(size, np.float32), requires_grad=True) for size in sizes]


def test_buckets_hold_every_parameter_once_the_last_first():
    given = parameters([5, 300, 7, 900, 2])
    buckets = make_buckets(given, 2, limit=1000)
    assert [p for bucket in buckets for p in bucket.parameters] == given[::-1]
    assert len(buckets) == 3 and all(b % BLOCK == 0 for one in buckets for b in one.bounds)


def test_an_owned_parameter_lies_in_its_owners_part():
    given = parameters([400, 300, 500, 900, 100, 200])
    loads = [0, 0, 0]
    for bucket in make_buckets(given, 3, owned=True, limit=4000):
        for i, (parameter, owner) in enumerate(zip(bucket.parameters, bucket.owners, strict=True)):
            loads[owner] += parameter.data.size
            bucket.flat[:] = 0
            bucket.views[i][...] = 1
            where = np.flatnonzero(bucket.flat)
            assert bucket.bounds[owner] <= where[0] and where[-1] < bucket.bounds[owner + 1]
    assert sum(loads) == 2400 and max(loads) <= 900


def test_a_filled_gradient_becomes_a_view_that_the_sum_arrives_in():
    given = parameters([3])
    (bucket,) = make_buckets(given, 2)
    given[0].grad = np.array([1.0, 2.0, 3.0], np.float32)
    assert bucket.fill(0) and given[0].grad.tolist() == [1.0, 2.0, 3.0]
    bucket.flat += 1
    assert given[0].grad.tolist() == [2.0, 3.0, 4.0]
    given[0].grad = None
    assert not bucket.fill(0) and given[0].grad.tolist() == [0, 0, 0]


def test_the_courier_carries_many_at_once_and_brings_errors_back():
    def work(communicator):
        courier = Courier()
        flats = [values(10 * communicator.rank + k, 2 * BLOCK) for k in range(5)]
        order = range(5) if communicator.rank else reversed(range(5))  # as they become ready
        for k in order:
            bounds = [0, BLOCK, 2 * BLOCK]
            courier.begin(all_reduce(communicator, flats[k], bounds, Plain(), 1 + k))
        courier.finish()
        return flats

    one, other = together(2, work)
    for k in range(5):
        np.testing.assert_array_equal(one[k], values(k, 2 * BLOCK) + values(10 + k, 2 * BLOCK))
        np.testing.assert_array_equal(one[k], other[k])

    def failing():
        raise ValueError("of the courier")
        yield

    courier = Courier()
    courier.begin(failing())
    with pytest.raises(ValueError, match="of the courier"):
        courier.finish()
    courier.finish()  # nothing is left


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_traffic_of_a_step(ranks):
    full = 1000 * 4 * 2 * (ranks - 1) / ranks
    assert traffic.data_parallel(1000, ranks) == traffic.zero1(1000, ranks) == full
    assert traffic.local_steps(1000, ranks, 50) == full / 50
    assert traffic.data_parallel_int8(1000, ranks) == pytest.approx(full * (0.25 + 1 / BLOCK))
    assert traffic.zero1_int8(1000, ranks) == pytest.approx(full * (0.625 + 0.5 / BLOCK))
    assert traffic.on_the_wire(full) == pytest.approx(1.0622 * full, rel=1e-3)
