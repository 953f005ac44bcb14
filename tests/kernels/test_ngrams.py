"""word_ngrams and byte_ngrams, every fast version against the reference, to the bit; that against
counting in Python."""

from collections import Counter

import numpy as np
import pytest

from kernels import numpy_ref
from kernels.numpy_ref.word_ngrams import CLOSE, EDGE, FULL, LETTER, SPACE, STOP

KINDS = np.zeros(256, np.uint8)
for bits, members in {
    SPACE: " \n", LETTER: "abcé", EDGE: ".,!()-", STOP: ".!¡", CLOSE: ')"', FULL: "¡",
}.items():
    KINDS[[ord(c) for c in members]] |= bits
ALPHABET = "  \nabcaé.,!¡()-\"7日\U0001f600"


def points(text):
    return np.frombuffer(text.encode("utf-32-le"), "<u4")


def drawn(size, seed=0):
    return "".join(np.random.default_rng(seed).choice(list(ALPHABET), size))


def same(made, expected):
    for one, other in zip(made, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def kind(c):
    return int(KINDS[ord(c)]) if ord(c) < 256 else 0


def sentences(text):
    count = i = 0
    while i < len(text):
        end = i
        while end < len(text) and kind(text[end]) & STOP:
            end += 1
        beyond = end
        while beyond < len(text) and kind(text[beyond]) & CLOSE:
            beyond += 1
        if end > i:
            whole = beyond == len(text) or kind(text[beyond]) & SPACE
            count += 1 if whole else sum(kind(c) & FULL > 0 for c in text[i:end])
        i = max(end, i + 1)
    return count


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_the_reference_splits_as_python_does(every, seed):
    text = drawn(seed * seed * 9, seed)
    tokens = [c for c in text if c not in " \n"] if every else text.replace("\n", " ").split()
    words = [word for word in (token.strip(".,!()-") for token in tokens) if word]
    hashes, lengths, counts = numpy_ref.split_words(points(text), KINDS, every)
    assert lengths.tolist() == list(map(len, words))
    assert len(set(zip(words, hashes.tolist(), strict=True))) == len(set(words))
    assert len(set(hashes.tolist())) == len(set(words))
    unlettered = sum(not any(kind(c) & LETTER for c in token) for token in tokens)
    assert counts.tolist() == [len(tokens), unlettered, sentences(text)]


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 64, 999])
def test_words_are_those_of_the_reference(fast, size, every):
    for seed in range(5):
        arguments = (points(drawn(size, seed)), KINDS, every)
        same(fast.split_words(*arguments), numpy_ref.split_words(*arguments))


@pytest.mark.parametrize(
    "text", [" ", "...", "a", ".a", "a.", " .a.b. ", "¡¡a", "¡!)\"", ".)x", "."]
)
def test_edges_and_ends_of_sentences(fast, text):
    for kinds in (KINDS, KINDS[:0], KINDS[:47]):
        arguments = (points(text), kinds, False)
        same(fast.split_words(*arguments), numpy_ref.split_words(*arguments))


def word_list(count, different, seed=0):
    rng = np.random.default_rng(seed)
    known = rng.integers(0, 2**64, different, np.uint64, endpoint=False)
    which = rng.integers(0, different, count)
    return known[which], (which % 9 + 1).astype(np.int64)


@pytest.mark.parametrize("count, different", [(0, 1), (1, 1), (9, 1), (30, 2), (200, 6), (400, 90)])
def test_the_reference_counts_n_grams_as_python_does(count, different):
    words, lengths = word_list(count, different)
    found = numpy_ref.repeated_ngrams(words, lengths, 6)
    for n in range(2, 7):
        grams = [tuple(words[i : i + n].tolist()) for i in range(count - n + 1)]
        times = Counter(grams)
        most = max(times.values(), default=0)
        if most < 2:
            assert found[n - 2].tolist() == [0, 0, 0]
            continue
        inside = {i + k for i, gram in enumerate(grams) if times[gram] > 1 for k in range(n)}
        longest = max(
            int(lengths[i : i + n].sum()) for i, gram in enumerate(grams) if times[gram] == most
        )
        assert found[n - 2].tolist() == [most, longest, sum(int(lengths[i]) for i in inside)]


@pytest.mark.parametrize("most", [2, 3, 10, 40])
@pytest.mark.parametrize("count, different", [
    (0, 1), (1, 1), (2, 1), (3, 1), (17, 1), (64, 2), (333, 5), (2000, 30), (2000, 1500),
])
def test_repeated_n_grams_are_those_of_the_reference(fast, count, different, most):
    words, lengths = word_list(count, different, count)
    expected = numpy_ref.repeated_ngrams(words, lengths, most)
    assert expected.dtype == fast.repeated_ngrams(words, lengths, most).dtype == np.int64
    np.testing.assert_array_equal(fast.repeated_ngrams(words, lengths, most), expected)


def test_the_reference_hashes_bytes_as_its_definition_reads():
    text = np.random.default_rng(0).integers(0, 256, 60).astype(np.uint8)
    for n in (1, 2, 5):
        expected = []
        for i in range(len(text) - n + 1):
            h = int(text[i])
            for byte in text[i + 1 : i + n].tolist():
                h = h * 0x01000193 % 2**32 ^ byte
            h = (h ^ h >> 15) * (0x85EBCA6B + 2 * n) % 2**32
            expected.append(h ^ h >> 13)
        assert numpy_ref.byte_ngrams(text, n).tolist() == expected


@pytest.mark.parametrize("size", [0, 1, 2, 4, 5, 31, 1500])
def test_hashes_and_counts_of_bytes_are_those_of_the_reference(fast, size):
    text = np.random.default_rng(size).integers(97, 110, size).astype(np.uint8)
    for n in (1, 2, 4, 5, 9):
        same([fast.byte_ngrams(text, n)], [numpy_ref.byte_ngrams(text, n)])
        for buckets in (1, 64, 1 << 14):
            made = fast.byte_ngram_counts(text, n, buckets)
            same(made, numpy_ref.byte_ngram_counts(text, n, buckets))
            assert made[1].sum() == sum(max(0, size - k) for k in range(n))


def classifier(buckets, classes, seed=0):
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((buckets, classes)).astype(np.float32)
    return weight, rng.standard_normal(classes).astype(np.float32)


def test_the_reference_weighs_roots_of_counts_as_counted_one_by_one():
    text = np.random.default_rng(0).integers(97, 105, 80).astype(np.uint8)
    weight, bias = classifier(64, 3)
    counts = Counter(int(h) % 64 for n in (1, 2, 3) for h in numpy_ref.byte_ngrams(text, n))
    expected = bias + sum(
        np.sqrt(count / sum(counts.values())) * weight[bucket] for bucket, count in counts.items()
    )
    np.testing.assert_allclose(numpy_ref.byte_ngram_logits(text, 3, weight, bias), expected, 1e-5)


@pytest.mark.parametrize("size", [0, 1, 2, 4, 31, 1500])
@pytest.mark.parametrize("classes", [0, 1, 2, 7, 9, 33])
def test_logits_are_those_of_the_reference(fast, size, classes):
    text = np.random.default_rng(size).integers(97, 110, size).astype(np.uint8)
    for most, buckets in ((1, 1), (4, 64), (9, 1 << 14)):
        weight, bias = classifier(buckets, classes)
        made = fast.byte_ngram_logits(text, most, weight, bias)
        expected = numpy_ref.byte_ngram_logits(text, most, weight, bias)
        assert made.dtype == np.float32
        np.testing.assert_allclose(made, expected, 1e-5, 1e-5)
        assert bias is not made
    weight, bias = classifier(128, 4)
    np.testing.assert_allclose(
        fast.byte_ngram_logits(text[::2], 3, weight[::2, ::2], bias[::2]),
        numpy_ref.byte_ngram_logits(text[::2].copy(), 3, weight[::2, ::2].copy(), bias[::2]),
        1e-5, 1e-5,
    )


@pytest.mark.parametrize("size", [0, 1, 4, 5, 31, 1500])
def test_what_is_known_is_counted_as_by_the_reference(fast, size):
    text = np.random.default_rng(size).integers(97, 110, size).astype(np.uint8)
    for n in (1, 5, 9):
        known = np.random.default_rng(n).random(256) < 0.3
        expected = sum(known[h % 256] for h in numpy_ref.byte_ngrams(text, n).tolist())
        for module in (fast, numpy_ref):
            assert module.byte_ngrams_known(text, n, known) == expected
        assert fast.byte_ngrams_known(text, n, np.ones(1, bool)) == max(0, size - n + 1)
        assert fast.byte_ngrams_known(text, n, known[::2]) == numpy_ref.byte_ngrams_known(
            text, n, known[::2].copy())


def test_views_with_gaps_are_read_as_they_are(fast):
    text = points(drawn(200))
    same(
        fast.split_words(text[::2], np.repeat(KINDS, 2)[::2], False),
        numpy_ref.split_words(text[::2].copy(), KINDS, False),
    )
    words, lengths = word_list(200, 5)
    np.testing.assert_array_equal(
        fast.repeated_ngrams(words[::-2], lengths[::-2], 4),
        numpy_ref.repeated_ngrams(words[::-2].copy(), lengths[::-2].copy(), 4),
    )
    data = np.arange(99, dtype=np.uint8)
    same(fast.byte_ngram_counts(data[::3], 3, 64), numpy_ref.byte_ngram_counts(data[::3], 3, 64))


WORDS, BYTES = word_list(9, 2), np.zeros(9, np.uint8)
WEIGHT, BIAS = classifier(64, 3)


@pytest.mark.parametrize("call, error, match", [
    (lambda m: m.split_words(np.zeros(3), KINDS, False), TypeError, "must be an array of uint32"),
    (lambda m: m.split_words("text", KINDS, False), TypeError, "not str"),
    (lambda m: m.split_words(np.zeros((1, 1), np.uint32), KINDS, 0), ValueError, r"shape \(n,\)"),
    (lambda m: m.split_words(points("a"), KINDS.astype(bool), 0), TypeError, "kinds must be"),
    (lambda m: m.repeated_ngrams(WORDS[0], WORDS[1], 1), ValueError, "at least 2 words"),
    (lambda m: m.repeated_ngrams(WORDS[0], WORDS[1][1:], 3), ValueError, "differ"),
    (lambda m: m.repeated_ngrams(WORDS[1], WORDS[1], 3), TypeError, "words must be"),
    (lambda m: m.byte_ngrams(BYTES.astype(np.int8), 2), TypeError, "text must be"),
    (lambda m: m.byte_ngrams(BYTES, 0), ValueError, "at least 1 byte"),
    (lambda m: m.byte_ngram_counts(BYTES, 2, 48), ValueError, "a power of two"),
    (lambda m: m.byte_ngram_counts(BYTES, 2, 0), ValueError, "a power of two"),
    (lambda m: m.byte_ngram_logits(BYTES, 2, WEIGHT[:48], BIAS), ValueError, "a power of two"),
    (lambda m: m.byte_ngram_logits(BYTES, 2, WEIGHT, BIAS[1:]), ValueError, r"\(buckets, 2\)"),
    (lambda m: m.byte_ngram_logits(BYTES, 2, WEIGHT[0], BIAS), ValueError, "weight must be"),
    (lambda m: m.byte_ngram_logits(BYTES, 2, WEIGHT > 0, BIAS), TypeError, "float32, not bool"),
    (lambda m: m.byte_ngram_logits(BYTES, 2, WEIGHT, list(BIAS)), TypeError, "bias must be"),
    (lambda m: m.byte_ngram_logits(BYTES, 0, WEIGHT, BIAS), ValueError, "at least 1 byte"),
    (lambda m: m.byte_ngrams_known(BYTES, 2, BYTES), TypeError, "known must be an array of bool"),
    (lambda m: m.byte_ngrams_known(BYTES, 2, BYTES > 0), ValueError, "a power of two"),
])
def test_what_is_refused(fast, call, error, match):
    for module in (fast, numpy_ref):
        with pytest.raises(error, match=match):
            call(module)
