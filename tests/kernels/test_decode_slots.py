"""decode_step of several texts at once, and of several tokens of one: as if each were alone.

That is the promise of a server: what a text is told does not depend on who else is served, nor on
the pieces in which its prompt was read. In C to the bit; where NumPy multiplies, its product of one
row adds up in another order than that of many.
"""

import numpy as np
import pytest
from test_decode_parts import CONTEXT, SLIDING, WHOLE, V, caches, network

from kernels import numpy_ref, threads
from kernels.numpy_ref.decode import NO_TOKEN

T = 11


def alone(backend, net, texts, places=CONTEXT):
    """Logits (T, V') of each text, token by token in a cache of its own."""
    told = []
    for ids in texts:
        keys, values = caches(net, 1, places)
        told.append(np.concatenate([
            backend.decode_step(
                ids[t : t + 1], net, keys, values, np.array([t]), before=before_of(ids, [t])
            )
            for t in range(len(ids))
        ]))
    return told


def before_of(ids, at):
    """The tokens before those at `at`."""
    return np.array([ids[t - 1] if t else NO_TOKEN for t in at])


def together(backend, net, texts, slots, pieces, places=CONTEXT, size=5):
    """The same in one cache; pieces: for each step, how many tokens of each text it takes."""
    keys, values = caches(net, size, places)
    # Nobody looks at what nobody wrote.
    keys[:] = values[:] = 127 if keys.dtype == np.int8 else np.nan
    read, told = [0] * len(texts), [[] for _ in texts]
    for takes in pieces:
        owner = np.repeat(np.arange(len(texts)), takes)
        at = np.concatenate([read[i] + np.arange(n) for i, n in enumerate(takes)])
        ids = np.array([texts[i][t] for i, t in zip(owner, at, strict=True)])
        before = np.concatenate([
            before_of(texts[i], [t]) for i, t in zip(owner, at, strict=True)
        ])
        y = backend.decode_step(
            ids, net, keys, values, at, np.array(slots)[owner], before=before
        )
        for i, n in enumerate(takes):
            told[i] += list(y[owner == i])
            read[i] += n
    assert read == [len(ids) for ids in texts]
    return [np.array(rows) for rows in told]


PIECES = {  # of three texts of 11, 4 and 9 tokens
    "whole": [(11, 4, 9)],
    "one by one, joining and leaving": [(1, 0, 0)] * 4 + [(1, 1, 1)] * 4 + [(1, 0, 1)] * 3
    + [(0, 0, 1)] * 2,
    "pieces beside steps": [(7, 1, 0), (1, 1, 7), (1, 1, 0), (2, 1, 2)],
}


@pytest.mark.parametrize("how", PIECES)
@pytest.mark.parametrize(
    ("name", "scheme"),
    [*((name, "float32")
       for name in ("norm biases", "rotary", "smear", "bigrams", "qk norm", "llama", *WHOLE)),
     *(("llama", scheme) for scheme in ("int8", "int4", "nf4", "q4_1", "q8_0")), ("all", "int8")],
)
def test_a_text_is_told_what_it_would_be_told_alone(fast, how, name, scheme):
    net = network(name, scheme)
    ids = np.random.default_rng(1).integers(0, V, (3, T))
    texts = [ids[0], ids[1, :4], ids[2, :9]]
    exact = hasattr(fast, "current_isa")
    for backend in (fast, *([numpy_ref] if scheme == "float32" else [])):
        right = alone(backend, net, texts)
        got = together(backend, net, texts, [4, 0, 2], PIECES[how])
        for row, one in zip(got, right, strict=True):
            if exact and backend is fast:
                assert np.array_equal(row, one)
            else:  # rounding to bytes may fall either way
                assert np.abs(row - one).max() < (1e-5 if scheme == "float32" else 0.05)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_the_number_of_threads_does_not_show(isa, count):
    from kernels import c

    net, ids = network("llama", "int8"), np.random.default_rng(1).integers(0, V, (3, T))
    texts, given = [ids[0], ids[1, :4], ids[2, :9]], threads.get_num_threads()
    right = alone(c, net, texts)
    try:
        threads.set_num_threads(count)
        got = together(c, net, texts, [4, 0, 2], PIECES["pieces beside steps"])
    finally:
        threads.set_num_threads(given)
    assert all(map(np.array_equal, got, right))


@pytest.mark.parametrize("name", SLIDING)
def test_a_window_has_room_for_a_piece(fast, name):
    """A ring that has come round takes as many tokens at once as nobody in them still looks at."""
    net, places = network(name, "float32", slides=True), 6
    texts = [np.random.default_rng(2).integers(0, V, 12)]
    right = alone(fast, net, texts, places)[0]
    pieces = [(1 + places - net.sight(places),)] * 12
    count = int(np.searchsorted(np.cumsum(pieces), 12))
    pieces = [*pieces[:count], (12 - sum(n for (n,) in pieces[:count]),)]
    (got,) = together(fast, net, texts, [3], pieces, places)
    assert np.abs(got - right).max() < 1e-5


def test_logits_of_the_first_tokens_alone(fast):
    net = network("all", "int8")
    ids = np.random.default_rng(3).integers(0, V, 6)
    slots, at = np.array([1, 0, 0, 0, 2, 2]), np.array([0, 0, 1, 2, 0, 1])
    before = np.where(at, np.roll(ids, 1), NO_TOKEN)
    whole = fast.decode_step(ids, net, *caches(net, 3), at, slots, before=before)
    mixed = np.array([3, 5, 0, 2, 1, 4])  # in whatever order
    other = fast.decode_step(
        ids[mixed], net, *caches(net, 3), at[mixed], slots[mixed], before=before[mixed]
    )
    assert np.abs(other - whole[mixed]).max() < (
        1e-6 if hasattr(fast, "current_isa") else 0.05
    )
    for scored in (0, 1, 4, 6):
        got = fast.decode_step(ids, net, *caches(net, 3), at, slots, scored, before)
        assert got.shape == (scored, whole.shape[1]) and np.abs(got - whole[:scored]).max(
            initial=0
        ) < (1e-6 if hasattr(fast, "current_isa") else 0.05)


@pytest.mark.parametrize(
    ("before", "error", "says"),
    [(None, ValueError, "give `before`"), ([V, 0], IndexError, str(V)), ([0, -2], IndexError, "-2"),
     ([0], ValueError, "before"), ([0.0, 1.0], TypeError, "before")],
)
@pytest.mark.parametrize("part", ["smear", "bigrams"])
def test_a_network_that_looks_back_is_told_what_stood_before(fast, part, before, error, says):
    net, ids = network(part, "float32"), np.array([1, 2])
    keys, values = caches(net, 2)
    for backend in (fast, numpy_ref):
        good = backend.decode_step(ids, net, keys, values, np.array([0, 0]), before=ids - 2)
        assert np.isfinite(good).all()  # of a table that C has from before
        with pytest.raises(error, match=says):
            backend.decode_step(ids, net, keys, values, np.array([1, 1]),
                                before=None if before is None else np.array(before))


@pytest.mark.parametrize(
    ("slots", "positions", "error", "says"),
    [([0, 5], [0, 0], IndexError, "5"), ([0, -1], [0, 0], IndexError, "-1"),
     ([1, 1], [3, 5], ValueError, "position 5 of sequence 1 follows 3"),
     ([1, 1], [3, 3], ValueError, "position 3 of sequence 1 follows 3"),
     ([1, 1], [4, 2], ValueError, "position 4 of sequence 1 follows 2"),
     ([1, 1], [3, 4], ValueError, "position 4 overwrites a key that position 3 of sequence 1"),
     ([0], [0, 0], ValueError, "slots"), ([[0, 1]], [0, 0], ValueError, "slots"),
     ([0.0, 1.0], [0, 0], TypeError, "slots")],
)
def test_what_has_no_meaning_is_refused(fast, slots, positions, error, says):
    net = network("no position", "float32", slides=True)
    keys, values = caches(net, 5, 4)
    for _ in range(2):  # with and without a table from before
        with pytest.raises(error, match=says):
            fast.decode_step(
                np.array([1, 2]), net, keys, values, np.array(positions), np.array(slots)
            )
        fast.decode_step(np.array([1]), net, keys, values, np.array([0]), np.array([4]))
    with pytest.raises(ValueError, match="scored is 3"):
        fast.decode_step(np.array([1, 2]), net, keys, values, np.array([0, 0]),
                         np.array([0, 1]), 3)


