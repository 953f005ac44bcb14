"""Keys and values in bytes: what is kept of a head, and what a step makes of a cache of them."""

import numpy as np
import pytest
import test_decode_parts
from test_decode_parts import CONTEXT, SLIDING, WHOLE, H, V, judged, network, staggered
from test_decode_slots import PIECES, T, alone, together

from kernels import numpy_ref
from kernels.numpy_ref.heads import restore_heads, round_heads

HARD = ["norm biases", "one kv head", "kv heads", "head dim", "llama", *WHOLE]


@pytest.fixture
def in_bytes(monkeypatch):
    """Caches of the other files' helpers hold bytes."""
    floats = test_decode_parts.caches

    def caches(net, batch, places=CONTEXT):
        return round_heads(floats(net, batch, places))

    for module in ("test_decode_parts", "test_decode_slots"):
        monkeypatch.setattr(f"{module}.caches", caches)


@pytest.mark.parametrize("D", [1, 6, 32, 67])
def test_a_head_of_bytes_is_right_to_half_a_step(D):
    x = np.random.default_rng(0).standard_normal((3, 5, D)).astype(np.float32)
    x[0] *= 1e20
    kept = round_heads(x)
    assert kept.shape == (3, 5, D + 4) and kept.dtype == np.int8
    step = np.abs(x).max(-1, keepdims=True) / 127
    assert (np.abs(restore_heads(kept) - x) <= step * 0.5001).all()
    assert np.array_equal(restore_heads(kept[:, ::2]), restore_heads(kept)[:, ::2])


def test_a_head_of_zeros_is_zeros():
    kept = round_heads(np.zeros((2, 8), np.float32))
    assert not kept.any() and not restore_heads(kept).any()


@pytest.mark.parametrize("name", HARD)
def test_a_step_over_bytes_is_the_reference_s(fast, in_bytes, name):
    """And near to what floats give.  Two orders of sums may round a number apart, which all that
    comes after it in its text hears of; most hear of none."""
    net, ids = network(name, "float32"), np.random.default_rng(1).integers(0, V, (3, 7))
    got, right = (staggered(ops, net, ids, [0, 3, 1]) for ops in (fast, numpy_ref))
    error, size = np.abs(got - right), np.abs(right).max()
    assert np.median(error) < 1e-6 * size and error.max() < 2e-3 * size
    for row, tokens in zip(got, ids, strict=True):
        assert 0 < np.abs(row - judged(net, tokens)).max() < 0.03 * size


@pytest.mark.parametrize("name", HARD)
def test_what_lies_in_the_cache_is_rounded_keys_and_values(fast, name):
    """The first layer's, which no rounding reaches: those of a cache of floats."""
    net, ids = network(name, "float32"), np.random.default_rng(2).integers(0, V, 2)
    floats = test_decode_parts.caches(net, 2)
    for kept, kind in ((floats, np.float32), (round_heads(floats), np.int8)):
        at = np.zeros(2, np.int64)
        fast.decode_step(ids, net, *kept, at, before=at)
        assert kept.dtype == kind
        found = [restore_heads(x) if kind is np.int8 else x for x in kept[:, 0, :, 0]]
        if kind is np.float32:
            right = found
    for ours, exact in zip(found, right, strict=True):  # (2, Hkv, D)
        step = np.abs(exact).max(-1, keepdims=True) / 127
        assert (np.abs(ours - exact) <= 0.51 * step).all() and np.abs(ours).max() > 0


@pytest.mark.parametrize("name", SLIDING)
def test_a_ring_of_bytes_comes_round(fast, in_bytes, name):
    net = network(name, "float32", slides=True)
    ids = np.random.default_rng(4).integers(0, V, (2, 10))
    got, right = (staggered(ops, net, ids, [0, 3], 4) for ops in (fast, numpy_ref))
    error, size = np.abs(got - right), np.abs(right).max()
    assert np.median(error) < 1e-6 * size and error.max() < 2e-3 * size


@pytest.mark.parametrize("how", PIECES)
@pytest.mark.parametrize(("name", "scheme"), [
    ("norm biases", "int8"), ("llama", "int8"), ("llama", "int4"), ("all", "float32"),
])
def test_bytes_do_not_know_the_company(isa, in_bytes, how, name, scheme):
    """Texts together are told what each alone is, to the bit."""
    from kernels import c

    net = network(name, scheme)
    ids = np.random.default_rng(1).integers(0, V, (3, T))
    texts = [ids[0], ids[1, :4], ids[2, :9]]
    right = alone(c, net, texts)
    assert all(map(np.array_equal, together(c, net, texts, [4, 0, 2], PIECES[how]), right))


def test_caches_of_bytes_are_checked(fast):
    net, at = network("norm biases", "float32"), np.array([0])
    kept = round_heads(np.zeros((2, 2, 1, CONTEXT, H, 6), np.float32))
    for backend in (fast, numpy_ref):
        backend.decode_step(at, net, *kept, at)
        with pytest.raises(ValueError, match=r"keys must have shape .*, 10\)"):
            backend.decode_step(at, net, *kept[..., :-1].copy(), at)
        with pytest.raises(TypeError, match="values must be int8, not float32"):
            backend.decode_step(at, net, kept[0], np.zeros(kept[0].shape, np.float32), at)
        with pytest.raises(ValueError, match="shares memory"):
            backend.decode_step(at, net, kept[0], kept[0], at)
