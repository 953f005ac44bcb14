"""What the cache remembers, and how much memory it takes for that."""

import dataclasses

import numpy as np
import pytest

import minigrad
from tinygpt.config import structure
from tinygpt.errors import UserError
from tinygpt.inference.decoder import Decoder
from tinygpt.model import KVCache, ModelShape, build, cache
from tinygpt.model.cache import ring_bytes

LONG = ModelShape(vocab_size=31, context=40_960, n_layers=2, n_heads=4, d_model=32,
                  positions="rope", n_kv_heads=2)


def bytes_of(memory):
    return sum(part.nbytes for part in memory.arrays)


@pytest.fixture
def two_places(monkeypatch):
    """Caches that begin with room for two positions, and grow by single ones."""
    monkeypatch.setattr(cache, "FEWEST", 2)
    monkeypatch.setattr(cache, "PAGE", 4)


def test_a_long_context_takes_the_memory_of_what_is_said_in_it():
    memory, one = KVCache(LONG), 4 * 2 * 2 * 2 * 8  # bytes of a position
    assert bytes_of(memory) == 64 * one
    memory.reserve(65)
    assert bytes_of(memory) == 128 * one
    memory.advance(128, np.zeros(1, np.int64))
    memory = memory.ahead(1)
    assert bytes_of(memory) == 256 * one
    memory.reserve(40_832)
    assert bytes_of(memory) == 40_960 * one
    assert KVCache(dataclasses.replace(LONG, window=50)).keys.shape[2] == 50


def test_places_grow_by_whole_pages():
    memory = KVCache(dataclasses.replace(LONG, head_dim=12, n_kv_heads=1))
    assert memory.keys.shape[2] == 256  # a position takes 48 bytes, so many fill three pages
    memory.reserve(1100)
    assert memory.keys.shape[2] == 1280


@pytest.mark.parametrize("backend", ["numpy", "numba", "c"])
@pytest.mark.parametrize("way", ["kernel", "forward"])
@pytest.mark.parametrize("values", [
    {}, {"positions": "rope", "n_kv_heads": 2}, {"positions": "alibi", "window": 7},
    {"positions": "relative"},
], ids=str)
def test_logits_are_the_same_bits_whatever_the_cache_began_with(
    values, way, backend, monkeypatch, two_places
):
    """Two texts at once, beyond the context."""
    try:
        minigrad.use(backend)
    except RuntimeError as error:
        pytest.skip(str(error))
    sizes = {"vocab_size": 31, "context": 20, "n_layers": 2, "n_heads": 4, "d_model": 32}
    shape = structure(ModelShape, {**sizes, **values}, "model.")
    model = build(shape, np.random.default_rng(0)).eval()
    ids = np.random.default_rng(1).integers(0, 31, (2, 50))

    def written():
        decoder = Decoder(model, batch=2)
        if way == "forward":
            decoder._network = None
        found, places = [decoder.feed(ids[:, :3])], set()
        for t in range(3, 50):
            found.append(decoder.step(ids[:, t]))
            places.add(decoder.cache.keys.shape[2])
        return np.stack(found), places

    try:
        grown, places = written()
        assert min(places) < max(places) == shape.sight
        monkeypatch.setattr(cache, "FEWEST", shape.sight)
        at_once, places = written()
        assert places == {shape.sight}
        np.testing.assert_array_equal(grown, at_once)
    finally:
        minigrad.use()


def test_a_cache_that_was_read_ahead_of_stays_as_it_was(two_places):
    memory = KVCache(LONG)
    memory.keys[:] = 1
    memory.advance(2, np.zeros(1, np.int64))
    other = memory.ahead(1)
    other.keys[:] = 2
    assert other.keys.shape[2] > 2 == memory.keys.shape[2]
    assert (memory.keys == 1).all()


def test_more_keys_than_there_is_memory_for_are_refused_in_words(monkeypatch):
    memory = KVCache(LONG)

    def no_memory(*size, **more):
        raise MemoryError

    monkeypatch.setattr(cache.np, "zeros", no_memory)
    with pytest.raises(UserError, match="512 tokens take"):
        memory.reserve(500)
    assert memory.keys.shape[2] == 64


@pytest.mark.parametrize("values", [
    {}, {"positions": "rope", "n_kv_heads": 2}, {"positions": "alibi", "window": 7},
], ids=str)
def test_keys_and_values_in_bytes_say_nearly_the_same(values, two_places):
    """By the kernel and by the forward, beyond the context, through a cache that grows."""
    sizes = {"vocab_size": 31, "context": 20, "n_layers": 2, "n_heads": 4, "d_model": 32}
    shape = structure(ModelShape, {**sizes, **values}, "model.")
    model = build(shape, np.random.default_rng(0)).eval()
    ids, found = np.random.default_rng(1).integers(0, 31, (2, 50)), {}
    for way, kv in [("kernel", "float32"), ("kernel", "int8"), ("forward", "int8")]:
        decoder = Decoder(model, batch=2, kv=kv)
        if way == "forward":
            decoder._network = None
        found[way, kv] = np.stack(
            [decoder.feed(ids[:, :3]), *(decoder.step(ids[:, t]) for t in range(3, 50))]
        )
        assert decoder.cache.keys.dtype == kv
        assert bytes_of(decoder.cache) == ring_bytes(shape, kv, 2, shape.sight)
    right, size = found["kernel", "float32"], np.abs(found["kernel", "float32"]).max()
    near = found["kernel", "int8"]
    assert 0 < np.abs(near - right).max() < 0.02 * size
    assert np.abs(found["forward", "int8"] - near).max() < 2e-3 * size


def test_what_stands_before_a_text_is_rounded_with_it():
    begins = tuple(np.random.default_rng(0).standard_normal((2, 2, 3, 2, 8)).astype(np.float32))
    memory = KVCache(LONG, 2, begins, "int8")
    assert memory.length == 3
    for kept, exact in zip(memory.layer(1).append(*np.ones((2, 2, 1, 2, 8), np.float32)), begins,
                           strict=True):
        assert np.abs(kept[0, :3] - exact[1]).max() < 0.02 and (kept[:, 3] == 1).all()


def test_a_kind_that_there_is_not_is_named():
    with pytest.raises(ValueError, match="float32 or int8, not 'int4'"):
        KVCache(LONG, kv="int4")
