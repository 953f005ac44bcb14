"""Cuts and their patterns: what no match takes, what is too large, and bytes that are no text."""

from __future__ import annotations

import pytest

from tinygpt.tokenizer import TokenizerError
from tinygpt.tokenizer.pretokenize import (
    PATTERNS,
    _written_out,
    how_cut,
    pattern_name,
    pattern_text,
    piece_ends,
    split,
    to_bytes,
    to_str,
)

LOOKS_BEHIND = r"(?<!x)\d"  # for `regex`


@pytest.mark.parametrize(("pattern"), [r"\d", LOOKS_BEHIND])
def test_what_no_match_takes_is_a_piece_too(pattern):
    assert split("ab1c23d", pattern) == [b"ab", b"1", b"c", b"2", b"3", b"d"]
    assert split("12", pattern) == [b"1", b"2"] and split("ab", pattern) == [b"ab"]
    assert split("", pattern) == []
    assert piece_ends("é1".encode(), pattern) == [2, 3]


def test_empty_matches_are_no_pieces():
    assert split("baab", r"a*") == [b"b", b"aa", b"b"]


def test_a_pattern_has_a_text_and_a_known_text_a_name():
    for name, text in PATTERNS.items():
        assert (pattern_text(name), pattern_name(text), pattern_name(name)) == (text, name, name)
    assert pattern_text(r"\d+") == pattern_name(r"\d+") == r"\d+"
    assert how_cut(LOOKS_BEHIND).startswith("the regex module (Unicode of its own), because it")


@pytest.mark.parametrize(
    ("pattern", "parts"),
    [
        ("", 0), ("abc", 3), ("a{3}", 3), ("a{2,5}", 5), ("a{2,}", 2), ("a{,4}", 4), ("a{0}", 1),
        (r"\d{4}", 4), ("[a-z]{3}", 3), (r"[\]x]{3}", 3), ("(ab){2}", 4), ("(a(bc){3}d){2}", 16),
        ("a{2}{3}", 6), ("ab)", 3), ("(ab", 2), ("a\n", 2), ("a{}", 2),
    ],
)
def test_a_pattern_is_as_large_as_it_is_written_out(pattern, parts):
    assert _written_out(pattern) == parts


@pytest.mark.parametrize(
    ("fits", "too_large"),
    [("a" * 10_000, "a" * 10_001), ("(a{1000}){100}", "(a{1000}){101}")],
)
def test_patterns_have_a_largest_size(fits, too_large):
    assert pattern_text(fits) == fits
    with pytest.raises(TokenizerError, match="is too large: "):
        pattern_text(too_large)


@pytest.mark.parametrize("pattern", ["a(?R)?", "(a)(?1)", "(a)(?-1)", "(?&x)(?P<x>a)", "(?P>x)"])
def test_a_pattern_that_calls_itself_is_refused(pattern):
    with pytest.raises(TokenizerError, match="calls itself"):
        pattern_text(pattern)


def test_bytes_that_are_no_text_come_back():
    assert to_str(b"a\xff") == "a\udcff" and to_bytes("a\udcff") == b"a\xff"
    assert to_str("a") == "a" and to_bytes(b"\xff") == b"\xff"
    assert split(b"a\xffb", "gpt2") == [b"a", b"\xff", b"b"]
    with pytest.raises(TokenizerError, match=r"surrogate '\\ud800' at position 1"):
        to_bytes("a\ud800")
