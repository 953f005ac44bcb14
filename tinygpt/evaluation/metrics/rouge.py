"""ROUGE: how much of a wanted text is there, by n-grams and by the longest common subsequence.

    ROUGE-N    F1 of n-grams of words
    ROUGE-L    F1 of the longest row of words that stands in both, in order, gaps allowed

Equals rouge-score 0.1.2 without stemming where its words are ours: it keeps [a-z0-9] only, so that
a text of another script has none and scores 0; here a word is letters of any script. `ascii_only`
gives its numbers.

Source: Lin 2004.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tinygpt.evaluation.metrics.words import cut_letters


def rouge_n(written: str, wanted: Sequence[str], n: int, ascii_only: bool = False) -> float:
    """F1 of n-grams, 0 to 1; of several wanted texts, the best.  n: 1, 2, ..."""
    own = cut_letters(written, ascii_only)
    return max(_by_grams(own, cut_letters(one, ascii_only), n) for one in wanted)


def rouge_l(written: str, wanted: Sequence[str], ascii_only: bool = False) -> float:
    """F1 of the longest common subsequence of words, 0 to 1; of several wanted texts, the best."""
    own = cut_letters(written, ascii_only)
    return max(_by_sequence(own, cut_letters(one, ascii_only)) for one in wanted)


def _by_grams(own: list[str], other: list[str], n: int) -> float:
    a, b = (
        Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
        for words in (own, other)
    )
    return _f1(sum((a & b).values()), sum(a.values()), sum(b.values()))


def _by_sequence(own: list[str], other: list[str]) -> float:
    return _f1(common(own, other), len(own), len(other))


def _f1(both: int, own: int, other: int) -> float:
    if not both:
        return 0.0
    precision, recall = both / own, both / other
    return 2 * precision * recall / (precision + recall)


def common(a: Sequence[str], b: Sequence[str]) -> int:
    """The length of the longest common subsequence: one row of the table at a time."""
    row = [0] * (len(b) + 1)
    for x in a:
        before = 0
        for j, y in enumerate(b, 1):
            above = row[j]
            row[j] = before + 1 if x == y else max(above, row[j - 1])
            before = above
    return row[-1]
