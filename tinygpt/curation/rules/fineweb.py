"""FineWeb's own three rules, found by comparing good and bad crawls: lists and menus go.

Source: Penedo et al. 2024 (arXiv 2406.17557), 3.6.

Read next: settings.py.
"""

from __future__ import annotations

from tinygpt.curation.rules.c4 import ENDS
from tinygpt.curation.rules.view import View

SHORT = 30  # characters


def line_ends(view: View) -> float:
    """Share of lines that end in punctuation."""
    return sum(map(view.line_ends.count, ENDS)) / max(1, len(view.lines))


def short_lines(view: View) -> float:
    """Share of lines of at most SHORT characters."""
    return sum([len(line) <= SHORT for line in view.lines]) / max(1, len(view.lines))


def line_breaks(view: View) -> float:
    """Line ends for each word."""
    return view.text.count("\n") / max(1, view.words)
