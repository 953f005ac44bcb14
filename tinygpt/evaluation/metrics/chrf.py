"""chrF: n-grams of 1 to 6 characters in both texts; chrF++ with 1 and 2 words besides.

    F_n = (1 + beta^2) P R / (beta^2 P + R),    beta = 2: what is wanted counts twice

averaged over n. It needs no words, and so is fair to languages that glue them together. White space
is not counted. An n for which one of both is too short does not count.

Equals sacrebleu 2.6.  Sources: Popović 2015, 2017.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from tinygpt.evaluation.metrics.words import cut_marks

CHARACTERS = 6
BETA = 2


def chrf(written: str, wanted: Sequence[str], words: int = 0) -> float:
    """chrF of one text, 0 to 100; words = 2 is chrF++.  Of several wanted texts, the best."""
    return max(_score(one) for one in _statistics(written, wanted, words))


def corpus_chrf(
    written: Sequence[str], wanted: Sequence[Sequence[str]], words: int = 0
) -> float:
    """chrF of many texts together: counts are added, each with its best wanted text."""
    sums = np.zeros((CHARACTERS + words, 3))
    for text, others in zip(written, wanted, strict=True):
        sums += max(_statistics(text, others, words), key=_score)
    return _score(sums)


def _statistics(written: str, wanted: Sequence[str], words: int) -> list[np.ndarray]:
    """(n-grams of the text, of the wanted one, in both) by n, for each wanted text."""
    own = _grams(written, words)
    found = []
    for one in wanted:
        other = _grams(one, words)
        both = [sum((a & b).values()) for a, b in zip(own, other, strict=True)]
        # Where nothing is wanted of a length, what was written of it is not held against the text.
        found.append(np.array([
            (sum(a.values()) if b else 0, sum(b.values()), c)
            for a, b, c in zip(own, other, both, strict=True)
        ], np.float64))
    return found


def _grams(text: str, words: int) -> list[Counter[object]]:
    letters, cut = "".join(text.split()), cut_marks(text)
    found: list[Counter[object]] = [
        Counter(letters[i : i + n] for i in range(len(letters) - n + 1))
        for n in range(1, CHARACTERS + 1)
    ]
    return found + [
        Counter(tuple(cut[i : i + n]) for i in range(len(cut) - n + 1))
        for n in range(1, words + 1)
    ]


def _score(statistics: np.ndarray) -> float:
    """100 times F of the mean precision and the mean recall."""
    own, other, both = statistics.T
    counts = (own > 0) & (other > 0)
    if not counts.any():
        return 0.0
    precision = float((both[counts] / own[counts]).sum() / counts.sum())
    recall = float((both[counts] / other[counts]).sum() / counts.sum())
    if precision + recall == 0:
        return 0.0
    factor = BETA**2
    return 100 * (1 + factor) * precision * recall / (factor * precision + recall)
