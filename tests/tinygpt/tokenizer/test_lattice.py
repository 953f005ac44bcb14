"""The lattice, in Python and in C, against all ways listed one by one."""

import doctest
import math

import numpy as np
import pytest

from tinygpt.tokenizer import compiled, lattice, naive_unigram
from tinygpt.tokenizer.lattice import PythonLattice

KINDS = [PythonLattice] + [compiled.Lattice] * compiled.available()
WORDS = ["abcab", "aab", "c", "bca", "aaaa", "ccba"]
COUNTS = np.array([3, 1, 5, 2, 1, 4])
PIECES = ["a", "b", "c", "ab", "ca", "aa", "abc", "bca", "cab"]
SCORES = np.log(np.random.default_rng(0).uniform(0.01, 0.2, len(PIECES))).astype(np.float32)
TEXT, ENDS = "".join(WORDS).encode(), np.cumsum([len(word) for word in WORDS])
BY_NAME = dict(zip(PIECES, SCORES.tolist(), strict=True))


def make(kind, pieces=PIECES, scores=SCORES):
    ids = np.arange(len(pieces), dtype=np.int32)
    return kind([piece.encode() for piece in pieces], np.asarray(scores, np.float32), ids)


def test_docstring_examples():
    assert doctest.testmod(naive_unigram).failed == 0
    assert doctest.testmod(lattice).failed == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_best_way_is_the_best_of_all(kind):
    ids, ends, scores = make(kind).best(TEXT, ENDS)
    assert ends[-1] == len(TEXT)
    pieces = [PIECES[i] for i in ids]
    expected = [naive_unigram.encode(word, BY_NAME) for word in WORDS]
    assert pieces == [piece for way in expected for piece in way]
    assert scores == pytest.approx([naive_unigram.score(way, BY_NAME) for way in expected])


@pytest.mark.parametrize("kind", KINDS)
def test_expected_counts_are_those_of_all_ways(kind):
    found, likelihood = make(kind).expect(TEXT, ENDS, COUNTS)
    words = dict(zip(WORDS, COUNTS.tolist(), strict=True))
    expected, total = naive_unigram.expect(words, BY_NAME)
    assert found == pytest.approx([expected[piece] for piece in PIECES], rel=1e-9)
    assert likelihood == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_piece_may_be_left_out(kind):
    ids, _, scores = make(kind).best(b"abcc", np.array([3, 4]), excluded=np.array([6, 2]))
    assert 6 not in ids and scores[1] == -np.inf  # "c" has no other way, and no ids


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_unknown_is_one_character_at_a_time(kind):
    made = make(kind, ["a", "b"], [-1.0, -2.0])
    ids, ends, _ = made.best("aé漢b".encode(), np.array([7]), unknown=-20.0)
    assert ids.tolist() == [0, -1, -1, 1] and ends.tolist() == [1, 3, 6, 7]
    assert len(make(kind).best(b"axb", np.array([3]))[0]) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_of_two_ways_of_one_score_the_first_found_stays(kind):
    made = make(kind, ["-", "--"], [-2.0, -1.0])
    ids, _, _ = made.best(b"---", np.array([3]))
    assert ids.tolist() == [0, 1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_word_that_cannot_be_written_adds_nothing(kind):
    found, likelihood = make(kind).expect(b"abxb", np.array([3, 4]), np.array([7, 1]))
    assert likelihood == pytest.approx(BY_NAME["b"])
    assert found.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_word_neither_overflows_nor_vanishes(kind):
    made = make(kind, ["a", "b"], [-200.0, -300.0])
    found, likelihood = made.expect(b"ab" * 50, np.array([100]), np.array([2]))
    assert likelihood == -2 * 25_000 and found.tolist() == [100.0, 100.0]
    assert math.isfinite(made.best(b"ab" * 50, np.array([100]))[2][0])
