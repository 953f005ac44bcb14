"""Bits per byte of a model that learns from the tokens: next to none for a text that repeats."""

import pytest

from tinygpt.diagnosis.tokenizers import bits_per_byte
from tinygpt.text import DataError
from tinygpt.tokenizer import CharTokenizer

TEXT = "ab" * 1000


def test_a_text_that_says_nothing_new_costs_next_to_nothing_once_learned():
    tokenizer = CharTokenizer("ab")
    heard = []
    untrained = bits_per_byte(tokenizer, TEXT, 1)
    trained = bits_per_byte(tokenizer, TEXT, 12, heard.append)
    assert untrained == pytest.approx(1.0, abs=0.3)  # a coin for each byte
    assert trained < 0.5
    assert heard == list(range(1, 13))


def test_too_little_text_is_refused():
    with pytest.raises(DataError, match="too few for a context of 64"):
        bits_per_byte(CharTokenizer("ab"), "abab", 1)
