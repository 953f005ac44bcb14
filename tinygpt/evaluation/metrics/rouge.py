"""ROUGE: how much of a wanted text is there, by n-grams and by the longest common subsequence.

    ROUGE-N       F1 of n-grams of words
    ROUGE-L       F1 of the longest row of words that stands in both, in order, gaps allowed
    ROUGE-Lsum    the same of texts of several lines, for which the order of lines does not matter:
                  a wanted line has what any of the written lines has in common with it

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


def rouge_lsum(written: str, wanted: Sequence[str], ascii_only: bool = False) -> float:
    """F1 of words that lines have in common, 0 to 1; of several wanted texts, the best."""
    own = _lines(written, ascii_only)
    return max(_by_lines(own, _lines(one, ascii_only)) for one in wanted)


def _lines(text: str, ascii_only: bool) -> list[list[str]]:
    return [cut_letters(line, ascii_only) for line in text.split("\n")]


def _by_grams(own: list[str], other: list[str], n: int) -> float:
    a, b = (
        Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
        for words in (own, other)
    )
    return _f1(sum((a & b).values()), sum(a.values()), sum(b.values()))


def _by_sequence(own: list[str], other: list[str]) -> float:
    return _f1(common(own, other), len(own), len(other))


def _by_lines(own: list[list[str]], other: list[list[str]]) -> float:
    left = Counter(word for line in own for word in line)  # no written word counts twice
    size, both = left.total(), 0
    for line in other:
        for i in sorted(set[int]().union(*(matched(line, one) for one in own))):
            if left[line[i]]:
                left[line[i]] -= 1
                both += 1
    return _f1(both, size, sum(map(len, other)))


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


def matched(a: Sequence[str], b: Sequence[str]) -> list[int]:
    """Places in `a` of a longest common subsequence; of several, the one that rouge-score takes."""
    table = [[0] * (len(b) + 1)]  # [i][j]: its length in the first i of a and the first j of b
    for x in a:
        above, row = table[-1], [0]
        for j, y in enumerate(b, 1):
            row.append(above[j - 1] + 1 if x == y else max(above[j], row[-1]))
        table.append(row)
    found, i, j = list[int](), len(a), len(b)
    while i and j:
        if a[i - 1] == b[j - 1]:
            i, j = i - 1, j - 1
            found.append(i)
        elif table[i][j - 1] > table[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return found
