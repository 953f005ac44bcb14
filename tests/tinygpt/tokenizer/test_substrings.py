"""Frequent substrings against every substring counted."""

from collections import Counter

import numpy as np

from tinygpt.tokenizer.substrings import frequent_substrings

WORDS = ["banana", "bandana", " ananas", "né\udcff漢é", "aaaa", "x"]
COUNTS = [3, 1, 2, 2, 1, 9]


def every_substring(words, counts, longest=16):
    found = Counter()
    for word, count in zip(words, counts, strict=True):
        for start in range(len(word)):
            for end in range(start + 2, min(len(word), start + longest) + 1):
                if "\udcff" not in word[start:end]:
                    found[word[start:end]] += count
    return found


def test_each_occurs_as_often_as_it_says():
    found, totals = frequent_substrings(WORDS, COUNTS, 1000)
    expected = every_substring(WORDS, COUNTS)
    assert len(set(found)) == len(found)
    assert dict(zip(found, totals.tolist(), strict=True)) == {s: expected[s] for s in found}


def test_what_is_left_out_always_stands_in_a_longer_one_or_is_rare():
    found, _ = frequent_substrings(WORDS, COUNTS, 1000)
    expected = every_substring(WORDS, COUNTS)
    for text, count in expected.items():
        if text not in found and count > 1:
            assert any(text in other and expected[other] == count for other in found), text
    assert "banan" not in found and "anan" not in found and "anana" in found


def test_the_first_cover_most_and_none_is_longer_than_16():
    found, totals = frequent_substrings(["abcdefghijklmnopqrst", "ab"], [2, 50], 3)
    assert found[0] == "ab" and totals[0] == 52
    assert max(map(len, found)) == 16 and len(found) == 3


def test_nothing_to_find():
    for words in ([], ["a"], ["ab"]):
        found, totals = frequent_substrings(words, [1] * len(words), 5)
        assert found == [] and totals.shape == (0,) and totals.dtype == np.int64
