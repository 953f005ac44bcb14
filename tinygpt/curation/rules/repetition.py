"""Gopher's rules of repetition: lines, paragraphs and n-grams of words that come again.

Lines and paragraphs: those after the first of their kind count, empty ones do not. The commonest
n-gram: the characters of all its occurrences, if it occurs twice. Duplicated n-grams: the
characters of words inside any n-gram that stands there twice, the first as well, each character
once however many n-grams overlap on it. All as shares; of n-grams, of the characters of all words.
What counts n-grams is a kernel: kernels/numpy_ref/word_ngrams.py.

Source: Rae et al. 2021, Table A1. datatrove counts only repeats after the first, of the length of
the text with its spaces; dolma the occurrences, of the characters of all n-grams.

Read next: c4.py.
"""

from __future__ import annotations

from collections.abc import Callable

from tinygpt.curation.rules.view import View

TOP = (2, 3, 4)
DUPLICATED = (5, 6, 7, 8, 9, 10)


def lines(view: View) -> float:
    """Share of lines that stood there before."""
    return view.repeated_lines[0]


def paragraphs(view: View) -> float:
    """Share of paragraphs that stood there before."""
    return view.repeated_paragraphs[0]


def line_characters(view: View) -> float:
    """Share of the lines' characters in lines that stood there before."""
    return view.repeated_lines[1]


def paragraph_characters(view: View) -> float:
    """Share of the paragraphs' characters in paragraphs that stood there before."""
    return view.repeated_paragraphs[1]


def top(n: int) -> Callable[[View], float]:
    """The rule of the commonest n-gram."""

    def commonest(view: View) -> float:
        times, characters, _ = view.ngrams[n - 2]
        return min(1.0, times * characters / max(1, view.characters))

    commonest.__doc__ = f"Share of the words' characters in the commonest of {n} words."
    return commonest


def duplicated(n: int) -> Callable[[View], float]:
    """The rule of duplicated n-grams."""

    def covered(view: View) -> float:
        return view.ngrams[n - 2][2] / max(1, view.characters)

    covered.__doc__ = f"Share of the words' characters in {n} words that stand there twice."
    return covered
