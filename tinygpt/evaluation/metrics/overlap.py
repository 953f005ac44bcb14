"""The same answer, and the overlap of its words, as SQuAD counts them (Rajpurkar et al. 2016).

What is compared are words in small letters, without punctuation and English articles.
"""

from __future__ import annotations

import string
import unicodedata
from collections import Counter
from collections.abc import Sequence

ARTICLES = {"a", "an", "the"}


def normal(text: str) -> list[str]:
    """The words that count."""
    kept = "".join(
        c for c in text.lower()
        if c not in string.punctuation and not unicodedata.category(c).startswith("P")
    )
    return [word for word in kept.split() if word not in ARTICLES]


def exact_match(written: str, wanted: Sequence[str]) -> float:
    """1 if the text is one of the wanted, 0 if not."""
    return float(any(normal(written) == normal(one) for one in wanted))


def f1(written: str, wanted: Sequence[str]) -> float:
    """The harmonic mean of how much of the text is wanted and how much of what is wanted is there;
    of several wanted texts, the best."""
    return max(_f1(normal(written), normal(one)) for one in wanted)


def _f1(written: list[str], wanted: list[str]) -> float:
    if not written or not wanted:
        return float(written == wanted)
    both = sum((Counter(written) & Counter(wanted)).values())
    if not both:
        return 0.0
    precision, recall = both / len(written), both / len(wanted)
    return 2 * precision * recall / (precision + recall)
