"""minhash, every fast version against the reference, to the bit; the reference against Python."""

import numpy as np
import pytest

from kernels import numpy_ref

MASK = 2**64 - 1
WORDS = "the quick brown fox jumps over a lazy dog and  then some é日本 x".split(" ")


def text_of(count, seed=0):
    rng = np.random.default_rng(seed)
    return np.frombuffer(" ".join(rng.choice(WORDS, count)).encode(), np.uint8)


def functions(size, seed=1):
    rng = np.random.default_rng(seed)
    factors, offsets = rng.integers(0, 2**64, (2, size), np.uint64, endpoint=False)
    return factors | np.uint64(1), offsets


def mixed(h):
    h = (h ^ h >> 30) * 0xBF58476D1CE4E5B9 & MASK
    h = (h ^ h >> 27) * 0x94D049BB133111EB & MASK
    return h ^ h >> 31


def slowly(text, n):
    """shingle_hashes in Python's integers, as its definition reads."""
    words = []
    for word in bytes(text).split(b" "):
        h = 0
        for c in word:
            h = h * 0x9E3779B97F4A7C15 + c + 1 & MASK
        words += [mixed(h)] if word else []
    n = min(n, len(words))
    made = []
    for i in range(len(words) - n + 1 if words else 0):
        h = 0
        for word in words[i : i + n]:
            h = h * 0xD6E8FEB86659FD93 + word & MASK
        made.append(mixed(h))
    return made


@pytest.mark.parametrize("count", [0, 1, 2, 4, 5, 6, 100])
@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_the_reference_is_its_definition(count, n):
    text = text_of(count)
    assert numpy_ref.shingle_hashes(text, n).tolist() == slowly(text, n)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 6, 7, 64, 1000])
@pytest.mark.parametrize("n", [1, 5, 9, 2**40])
def test_shingles_are_those_of_the_reference(fast, count, n):
    text = text_of(count, count)
    np.testing.assert_array_equal(
        fast.shingle_hashes(text, n), numpy_ref.shingle_hashes(text, n)
    )


@pytest.mark.parametrize("text", [b"", b" ", b"   a", b"a   ", b" a  b ", b"a", b"\xff\x00 \x20"])
def test_spaces_at_the_ends_and_in_a_row(fast, text):
    text = np.frombuffer(text, np.uint8)
    np.testing.assert_array_equal(fast.shingle_hashes(text, 2), numpy_ref.shingle_hashes(text, 2))


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 15, 17, 120, 128])
@pytest.mark.parametrize("count", [0, 1, 2, 333])
def test_signatures_are_those_of_the_reference(fast, size, count):
    hashes = np.random.default_rng(3).integers(0, 2**64, count, np.uint64, endpoint=False)
    arguments = (hashes, *functions(size))
    expected = numpy_ref.minhash_signature(*arguments)
    assert fast.minhash_signature(*arguments).dtype == np.uint32
    np.testing.assert_array_equal(fast.minhash_signature(*arguments), expected)


def test_a_signature_is_of_the_set(fast):
    hashes = numpy_ref.shingle_hashes(text_of(200), 3)
    rng = np.random.default_rng(0)
    again = np.concatenate([rng.permutation(hashes), hashes[:50]])
    np.testing.assert_array_equal(
        fast.minhash_signature(hashes, *functions(120)),
        fast.minhash_signature(again, *functions(120)),
    )


def test_views_with_gaps_are_read_as_they_are(fast):
    text = np.repeat(text_of(50), 2)
    np.testing.assert_array_equal(
        fast.shingle_hashes(text[::2], 5), fast.shingle_hashes(text_of(50), 5)
    )
    factors, offsets = functions(32)
    hashes = numpy_ref.shingle_hashes(text_of(90), 5)
    np.testing.assert_array_equal(
        fast.minhash_signature(hashes[::-2], factors[::2], offsets[::2]),
        fast.minhash_signature(
            hashes[::-2].copy(), factors[::2].copy(), offsets[::2].copy()
        ),
    )


@pytest.mark.parametrize("call, error, match", [
    (lambda m: m.shingle_hashes(np.zeros(3), 5), TypeError, "text must be an array of uint8"),
    (lambda m: m.shingle_hashes(b"bytes", 5), TypeError, "not bytes"),
    (lambda m: m.shingle_hashes(np.zeros((2, 3), np.uint8), 5), ValueError, r"shape \(n,\)"),
    (lambda m: m.shingle_hashes(np.zeros(3, np.uint8), 0), ValueError, "at least 1 word"),
    (
        lambda m: m.minhash_signature(np.zeros(3, np.int64), *functions(3)), TypeError,
        "hashes must be an array of uint64",
    ),
    (
        lambda m: m.minhash_signature(np.zeros(3, np.uint64), functions(3)[0], functions(4)[1]),
        ValueError, "differ",
    ),
])
def test_what_is_refused(fast, call, error, match):
    for module in (fast, numpy_ref):
        with pytest.raises(error, match=match):
            call(module)
