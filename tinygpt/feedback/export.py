"""Verdicts as pairs, or as rated answers, to learn from: without a name and without a code.

Read next: ../text/preferences.py, which reads them.
"""

from __future__ import annotations

from collections.abc import Sequence

from tinygpt.feedback.agreement import marks_of
from tinygpt.feedback.pairs import as_line, as_rated
from tinygpt.feedback.store import Item, Verdict


def exported(items: Sequence[Item], verdicts: Sequence[Verdict], ties: bool) -> str:
    """A line for each item that was judged, by what most raters say of it.

    ties: with those between whose answers nobody could choose, or as many chose the one as the
    other.
    """
    marks, lines = marks_of(verdicts), []
    for item in items:
        said = list(marks.get(item.id, {}).values())
        for_a, for_b = said.count("a"), said.count("b")
        if for_a > for_b:
            lines.append(as_line(item.prompt, item.a, item.b, False))
        elif for_b > for_a:
            lines.append(as_line(item.prompt, item.b, item.a, False))
        elif said and ties:
            lines.append(as_line(item.prompt, item.a, item.b, True))
    return "".join(lines)


def exported_ratings(items: Sequence[Item], verdicts: Sequence[Verdict]) -> str:
    """A line for each answer that was rated, by what most say of it; none where as many say the
    one as the other."""
    marks, lines = marks_of(verdicts), []
    for item in items:
        said = list(marks.get(item.id, {}).values())
        good, bad = said.count("good"), said.count("bad")
        if good != bad:
            lines.append(as_rated(item.prompt, item.a, good > bad))
    return "".join(lines)
