"""Gopher's rules of quality: is it prose, and of some length?

Source: Rae et al. 2021 (arXiv 2112.11446), A.1.1. Where implementations differ: the mean length of
words is the mean, as in the paper (dolma takes the median); a bullet is one of BULLETS (datatrove
counts "•" and "-", dolma "*" and "-"); a common word counts in any case (datatrove's do not match
"The"), and which words are common the corpus says, language by language.

Read next: repetition.py.
"""

from __future__ import annotations

import math

from tinygpt.curation.rules.view import View

BULLETS = ("•", "-", "*", "‣", "◦", "–")


def words(view: View) -> float:
    """How many words."""
    return float(view.words)


def word_length(view: View) -> float:
    """Their mean length, characters."""
    if view.unspaced or not view.words:
        return math.nan
    return view.characters / view.words


def hashes(view: View) -> float:
    """"#" for each word."""
    return view.text.count("#") / max(1, view.words)


def ellipses(view: View) -> float:
    """"..." or "…" for each word."""
    return (view.text.count("...") + view.text.count("…")) / max(1, view.words)


def bullets(view: View) -> float:
    """Share of lines that begin with a bullet."""
    return sum(map(view.line_starts.count, BULLETS)) / max(1, len(view.lines))


def ellipsis_lines(view: View) -> float:
    """Share of lines that end in an ellipsis."""
    if "..." not in view.text and "…" not in view.text:
        return 0.0
    return sum(line.endswith(("...", "…")) for line in view.lines) / max(1, len(view.lines))


def letters(view: View) -> float:
    """Share of tokens that hold a letter.  Tokens: what is only punctuation counts here."""
    tokens, unlettered = view.tokens
    return 1 - unlettered / tokens if tokens else 0.0


def stop_words(view: View) -> float:
    """How many different words of the commonest of its language."""
    if view.unspaced or not view.common:
        return math.nan
    return float(view.stop_words)
