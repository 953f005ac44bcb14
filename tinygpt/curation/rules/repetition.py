"""Gopher's rules of repetition: lines, paragraphs and n-grams of words that come again.

Lines and paragraphs: those after the first of their kind count, empty ones do not. The commonest
n-gram: the characters of all its occurrences, if it occurs twice. Duplicated n-grams: the
characters of words inside any n-gram that stands there twice, the first as well, each character
once however many n-grams overlap on it. All as shares; of n-grams, of the characters of all words.

Source: Rae et al. 2021, Table A1. datatrove counts only repeats after the first, of the length of
the text with its spaces; dolma the occurrences, of the characters of all n-grams.

Read next: c4.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from tinygpt.curation.rules.view import View

TOP = (2, 3, 4)
DUPLICATED = (5, 6, 7, 8, 9, 10)


def lines(view: View) -> float:
    """Share of lines that stood there before."""
    return _again(view.lines)[0]


def paragraphs(view: View) -> float:
    """Share of paragraphs that stood there before."""
    return _again(view.paragraphs)[0]


def line_characters(view: View) -> float:
    """Share of the lines' characters in lines that stood there before."""
    return _again(view.lines)[1]


def paragraph_characters(view: View) -> float:
    """Share of the paragraphs' characters in paragraphs that stood there before."""
    return _again(view.paragraphs)[1]


def _again(texts: list[str]) -> tuple[float, float]:
    """(share of texts, share of characters) after the first of their kind."""
    if not texts:
        return 0.0, 0.0
    seen = Counter(texts)
    characters = sum(map(len, texts))
    repeated = characters - sum(map(len, seen))
    return 1 - len(seen) / len(texts), repeated / characters


def top(n: int) -> Callable[[View], float]:
    """The rule of the commonest n-gram."""

    def commonest(view: View) -> float:
        starts, ids = _grams(view)[n]
        if not len(ids):
            return 0.0
        counts = np.bincount(ids)
        ends = _ends(view)
        best = np.flatnonzero(counts == counts.max())
        first = starts[[int(np.argmax(ids == gram)) for gram in best[:16]]]  # of ties, the longest
        length = int((ends[first + n] - ends[first]).max())
        return min(1.0, int(counts.max()) * length / int(ends[-1]))

    commonest.__doc__ = f"Share of the words' characters in the commonest of {n} words."
    return commonest


def duplicated(n: int) -> Callable[[View], float]:
    """The rule of duplicated n-grams."""

    def covered(view: View) -> float:
        starts, _ = _grams(view)[n]
        if not len(starts):
            return 0.0
        inside = np.zeros(len(view.words) + 1, np.int64)
        np.add.at(inside, starts, 1)
        np.add.at(inside, starts + n, -1)
        within = np.cumsum(inside)[:-1] > 0  # a word is in some of them
        return int(view.word_lengths[within].sum()) / int(view.word_lengths.sum())

    covered.__doc__ = f"Share of the words' characters in {n} words that stand there twice."
    return covered


def _ends(view: View) -> np.ndarray:
    """(words + 1,): characters of words before each."""
    return np.concatenate([[0], np.cumsum(view.word_lengths)])


def _grams(view: View) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """n -> (where n-grams that occur twice begin, which one each is), n = 2 to 10.

    An n-gram that occurs twice begins with an (n-1)-gram that does: so each round looks only at
    what the one before has left, which of ordinary text is next to nothing from n = 5 on.
    """
    made: dict[int, tuple[np.ndarray, np.ndarray]] | None = view.__dict__.get("grams")
    if made is not None:
        return made
    word = view.word_ids
    starts, ids = np.arange(len(word)), word
    grams = {}
    size = int(word.max(initial=0)) + 1
    for n in range(2, DUPLICATED[-1] + 1):
        if not len(starts):
            grams[n] = (starts, starts)
            continue
        fits = starts + n <= len(word)
        starts, ids = starts[fits], ids[fits]
        key = ids * size + word[starts + n - 1]
        twice, ids = _twice(key)
        starts = starts[twice]
        grams[n] = (starts, ids)
    view.__dict__["grams"] = grams
    return grams


def _twice(key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(where a key stands that stands there twice, in order; which of those it is, from 0)."""
    order = np.argsort(key)
    ordered = key[order]
    new = np.ones(len(key) + 1, bool)  # where another key begins, and after the last
    new[1:-1] = ordered[1:] != ordered[:-1]
    alone = new[:-1] & new[1:]
    ids = np.empty(len(key), np.int64)
    ids[order] = np.cumsum(new[:-1] & ~alone) - 1
    ids[order[alone]] = -1
    twice = np.flatnonzero(ids >= 0)
    return twice, ids[twice]
