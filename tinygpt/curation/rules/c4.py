"""C4's rules: lines that are no sentences, and documents that are no text.

`keep_lines` takes lines out of a text, as C4 does before it judges the document. Its rule that a
line ends in punctuation took 30 % of the web's text in FineWeb's trials and is off by default, as
are the least words of a line and "{": a folder of one's own has headings, verses and code.

Source: Raffel et al. 2020 (JMLR 21/140), 2.2.

Read next: fineweb.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from tinygpt.curation.rules.view import View

ENDS = (".", "!", "?", '"', "'", "”", "’", "»", "。", "！", "？", "।", "؟")
CITATION = re.compile(r"\[\d{1,4}\]|\[edit\]|\[citation needed\]")


class LineRules(NamedTuple):
    """What a line must be.  None or (): that is not asked.

    phrases: none of these may stand in it, in any case.
    """

    terminal: bool = False
    words: int | None = None
    longest_word: int | None = 1000  # characters
    phrases: Sequence[str] = ()
    citations: bool = True  # taken out, as in "[3]" and "[citation needed]"


def keep_lines(text: str, rules: LineRules) -> tuple[str, int]:
    """(the text without what the rules take out, how many lines went)."""
    if rules.citations and "[" in text:
        text = CITATION.sub("", text)
    low = text.lower()
    phrases = [phrase for phrase in rules.phrases if phrase in low]
    longest = rules.longest_word
    if longest is not None and not _may_hold_longer(text, longest):
        longest = None
    if not phrases and not rules.terminal and rules.words is None and longest is None:
        return text, 0
    found = text.split("\n")
    kept = [line for line in found if not line.strip() or _kept(line, rules, phrases, longest)]
    return "\n".join(kept).strip("\n"), len(found) - len(kept)


def _may_hold_longer(text: str, longest: int) -> bool:
    """False if no word of a text is longer: spaces are nowhere further apart."""
    at = 0
    while at + longest < len(text):
        end = at + longest + 1
        at = 1 + max(text.rfind(" ", at, end), text.rfind("\n", at, end))
        if not at:
            return True
    return False


def _kept(line: str, rules: LineRules, phrases: Sequence[str], longest: int | None) -> bool:
    if rules.terminal:
        end = line.rstrip()
        if not end.endswith(ENDS) or end.endswith("..."):
            return False
    words = line.split()
    if rules.words is not None and len(words) < rules.words:
        return False
    if longest is not None and any(len(word) > longest for word in words):
        return False
    low = line.lower()
    return not any(phrase in low for phrase in phrases)


def sentences(view: View) -> float:
    """How many sentences: ends of one, before white space."""
    return float(view.sentences)


def braces(view: View) -> float:
    """"{" in it: C4's sign of code."""
    return float(view.text.count("{"))


def lorem_ipsum(view: View) -> float:
    """"lorem ipsum" in it: a page that nobody has filled."""
    return float("lorem ipsum" in view.text.lower())
