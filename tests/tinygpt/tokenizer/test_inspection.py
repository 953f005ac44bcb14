"""What a tokenizer learned, counted on a vocabulary of four merges."""

from __future__ import annotations

import doctest

import pytest

from tinygpt.tokenizer import BPETokenizer, inspection
from tinygpt.tokenizer.bpe import BYTE_IDS
from tinygpt.tokenizer.inspection import (
    Compression,
    Derivation,
    cut,
    derive,
    longest_tokens,
    measure,
    show,
)

A, B, C, SPACE = (BYTE_IDS[byte] for byte in b"abc ")
MERGES = [(A, B), (256, C), (SPACE, 257), (C, C)]  # ab, abc, " abc", cc
BPE = BPETokenizer(MERGES, special_tokens={"<end>": 260})


def test_docstring_examples():
    assert doctest.testmod(inspection).failed == 0


def test_a_text_is_counted():
    found = measure(BPE, ["abc abc\n", b"ab <end>"])  # abc, " abc", \n; ab, " <", end, >
    assert (found.bytes, found.words, found.vocab_size) == (16, 4, 261)
    assert found.tokens == 3 + 1 + 6 and found.used == 4 + 6
    assert found.unused == 261 - found.used
    assert found.bytes_per_token == 1.6 and found.tokens_per_word == 2.5


def test_nothing_is_counted_in_nothing():
    none = measure(BPE, [])
    assert none == Compression(261, 0, 0, 0, 0)
    assert (none.bytes_per_token, none.tokens_per_word) == (0, 0)
    one = Compression(261, 6, 2, 1, 1)
    assert (one.bytes_per_token, one.tokens_per_word) == (6.0, 0.5)


def test_the_longest_tokens_come_first_and_equals_by_their_ids():
    assert longest_tokens(BPE, 4) == [(258, b" abc"), (257, b"abc"), (256, b"ab"), (259, b"cc")]
    assert longest_tokens(BPE, 0) == []


def test_a_text_is_cut_with_its_special_tokens():
    assert cut(BPE, "ab<end>") == [(256, b"ab"), (260, b"<end>")]


def test_a_token_has_a_tree_of_merges():
    byte = {token: Derivation(token, data) for token, data in ((A, b"a"), (B, b"b"), (C, b"c"))}
    ab = Derivation(256, b"ab", (byte[A], byte[B]))
    assert derive(BPE, 257) == Derivation(257, b"abc", (ab, byte[C]))
    assert derive(BPE, A) == byte[A]


@pytest.mark.parametrize(
    ("data", "shown"), [(b"a b", "a b"), (b"\t\x00", "\\t\\x00"), (b"\xe2\x82\xac", "€")]
)
def test_what_is_invisible_is_escaped(data, shown):
    assert show(data) == shown
