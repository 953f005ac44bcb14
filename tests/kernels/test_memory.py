"""The pool of buffers: what is freed is used again, and only then."""

import numpy as np
import pytest

from kernels import memory


@pytest.fixture(autouse=True)
def empty_pool():
    memory.pool.clear()
    yield
    memory.pool.clear()


def address(array):
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("shape", [(), 0, 7, (3, 5), (0, 4), (1 << 14,), (123, 457), [200, 300]])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, bool])
def test_it_is_an_ordinary_array(shape, dtype):
    a, expected = memory.empty(shape, dtype), np.empty(shape, dtype)
    assert type(a) is np.ndarray
    assert (a.shape, a.dtype, a.strides) == (expected.shape, expected.dtype, expected.strides)
    assert a.flags.c_contiguous and a.flags.writeable
    a[...] = 1


def test_large_buffers_are_aligned():
    for size in (1 << 13, 10_007, 1 << 20):
        assert address(memory.empty(size)) % 64 == 0


def test_a_freed_buffer_serves_the_next_request_of_its_size():
    a = memory.empty((100, 1000))
    before = address(a)
    del a
    assert memory.pool.idle_bytes() >= 400_000
    assert address(memory.empty((1000, 100))) == before


def test_a_freed_buffer_serves_a_somewhat_smaller_request_too():
    a = memory.empty((6, 40_000))
    before = address(a)
    del a
    tiny = memory.empty((1, 40_000))
    assert address(tiny) != before
    b = memory.empty((5, 40_000))
    assert address(b) == before and b.shape == (5, 40_000)
    del b
    assert address(memory.empty((6, 40_000))) == before  # it went back whole


def test_a_view_keeps_the_buffer():
    a = memory.empty((100, 1000))
    a[...] = 3
    view = a[::2, 5:].T.reshape(-1, 5)[1:]
    row = a.reshape(-1)[7:9]
    del a
    other = memory.empty((100, 1000))
    other[...] = 4
    assert (row == 3).all() and (view == 3).all()
    del row, view
    assert memory.pool.idle_bytes() > 0


def test_live_buffers_never_overlap():
    rng = np.random.default_rng(0)
    live = {}
    for i in range(500):
        if len(live) > 20:
            gone = rng.choice(list(live))
            assert (live.pop(gone) == gone).all()
        live[i] = memory.empty(int(rng.integers(8000, 40_000)))
        live[i][:] = i
    assert all((array == i).all() for i, array in live.items())


def test_what_lies_unused_goes_back_to_the_system(monkeypatch):
    monkeypatch.setattr(memory, "PATIENCE", 10)
    memory.empty(1 << 20)
    waiting = memory.pool.free[memory.round_up(4 << 20)]
    assert waiting
    for i in range(20):  # other sizes are wanted all the time
        memory.empty(100_000 + 20_000 * i)
    assert not waiting


@pytest.mark.parametrize("nbytes", [1 << 15, 32_769, 999_999, (1 << 30) + 1])
def test_rounding_adds_at_most_an_eighth(nbytes):
    assert nbytes <= memory.round_up(nbytes) <= nbytes * 1.125


def test_a_training_loop_settles():
    """The same requests each time: from the second time on nothing new is asked of the system."""

    def step():
        kept = [memory.empty((64, 128 * i)) for i in range(1, 9)]
        return {address(a) for a in kept}

    assert step() == step() == step()


def test_only_the_pool_is_behind_an_array():
    for size in (100, 100_000):
        a = memory.empty(size)
        assert not memory.is_view(a)
        for view in (a[1:], a.reshape(-1, 10), a.T, a[...]):
            assert memory.is_view(view)


def test_the_smallest_block_that_fits_is_taken():
    large, middle = memory.empty(15_000), memory.empty(12_500)
    places = address(large), address(middle)
    del large, middle
    one = memory.empty(11_000)
    two = memory.empty(11_000)
    assert (address(two), address(one)) == places


def test_a_block_more_than_half_as_large_again_is_left_alone():
    size = memory.round_up(1 << 20)
    for larger, serves in ((size + size // 2, True), (size + size // 2 + (1 << 17), False)):
        memory.pool.clear()
        memory.empty(larger, np.int8)
        assert memory.pool.idle_bytes() == memory.round_up(larger)
        held = memory.empty(size, np.int8)
        assert memory.pool.idle_bytes() == (0 if serves else memory.round_up(larger))
        del held


def test_idle_bytes_counts_every_block():
    kept = [memory.empty(1 << 20, np.int8) for _ in range(3)] + [memory.empty(1 << 21, np.int8)]
    assert memory.pool.idle_bytes() == 0
    del kept
    assert memory.pool.idle_bytes() == 3 * (1 << 20) + (1 << 21)
    memory.pool.clear()
    assert memory.pool.idle_bytes() == 0


def test_sizes_go_up_in_eighths_of_a_power_of_two():
    assert [memory.round_up(n) for n in (1 << 20, (1 << 20) + 1, (1 << 20) + (1 << 17) + 1)] == [
        1 << 20, (1 << 20) + (1 << 17), (1 << 20) + (1 << 18),
    ]
    assert memory.round_up(1 << 15) == 1 << 15 and memory.round_up(1) == 64


def test_patience_is_counted_in_requests(monkeypatch):
    monkeypatch.setattr(memory, "PATIENCE", 3)
    pool = memory.Pool()
    block = pool.take(1 << 20)
    assert pool.requests == 1
    pool.give_back(block)
    for _ in range(3):
        pool.requests += 1
        pool.drop_unused()
    assert pool.idle_bytes() == 1 << 20  # three requests later, still here
    pool.requests += 1
    pool.drop_unused()
    assert pool.idle_bytes() == 0


@pytest.mark.skipif(not hasattr(memory.mmap, "MADV_HUGEPAGE"), reason="no huge pages here")
def test_huge_pages_are_asked_for_from_two_megabytes_on(monkeypatch):
    asked = []

    class Spy(memory.Block):
        def madvise(self, advice):
            asked.append(len(self))

    monkeypatch.setattr(memory, "Block", Spy)
    for nbytes in ((2 << 20) - 4096, 2 << 20, 4 << 20):
        memory._pages(nbytes)
    assert asked == [2 << 20, 4 << 20]


def test_scratch_is_the_same_memory_until_more_is_needed():
    first = memory.scratch(100)
    assert first.size == 100
    held = memory._local.scratch
    assert held.size >= 1 << 16
    assert address(memory.scratch(held.size)) == address(first)  # all of it
    larger = memory.scratch(held.size + 1)
    assert larger.size == held.size + 1
    assert address(memory.scratch(5)) == address(larger)
