"""Whether raters agree by more than chance, and with themselves: before anybody learns from them.

    kappa = (observed - expected) / (1 - expected)        Cohen, two raters on the same items
    alpha = 1 - observed disagreement / expected          Krippendorff, any number, gaps allowed

1 is always, 0 is as coins would. Expected is by how often each answer was given at all: two raters
who say "tie" nine times of ten agree on most items and may know nothing. Intervals come of drawing
the items again with replacement (bootstrap).

*Position bias*: how often the left answer was preferred, of choices that were none of a tie: half,
for which answer stands there is a coin. *Drift*: how often a rater agrees with the others in the
first and in the second half of their verdicts.

Source: Cohen 1960; Krippendorff 2004, section 11.3 (nominal data).
Read next: export.py.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from tinygpt.evaluation.agreement import kappa
from tinygpt.feedback.store import Verdict

DRAWS = 1000
Marks = Mapping[int, Mapping[str, str]]  # item -> rater -> "a", "b", "good", "bad" or "tie"


class Measured(NamedTuple):
    """A number, between what it probably lies (95 %), and of how many items it is."""

    value: float
    low: float
    high: float
    items: int

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f}, {self.items} items)"


def marks_of(verdicts: Sequence[Verdict]) -> dict[int, dict[str, str]]:
    """What each rater said of each item."""
    found: dict[int, dict[str, str]] = defaultdict(dict)
    for one in verdicts:
        found[one.item][one.rater] = one.preferred or "tie"
    return dict(found)


def krippendorff(items: Sequence[Sequence[str]]) -> float:
    """Alpha of what raters said of each item; those with fewer than two marks do not count."""
    items = [marks for marks in items if len(marks) > 1]
    total, disagreed = Counter[str](), 0.0
    for marks in items:
        total.update(marks)
        unlike = sum(a != b for a, b in combinations(marks, 2))
        disagreed += 2 * unlike / (len(marks) - 1)
    n = sum(total.values())
    by_chance = n * n - sum(k * k for k in total.values())
    if not by_chance:
        return float("nan")
    return 1 - (n - 1) * disagreed / by_chance


def with_interval(
    measure: Callable[[Sequence[Any]], float], items: Sequence[Any], seed: int = 0
) -> Measured | None:
    """A measure of items, and of DRAWS drawings of as many; None for none."""
    if not items:
        return None
    rng = np.random.default_rng(seed)
    drawn = [
        measure([items[i] for i in rng.integers(0, len(items), len(items))]) for _ in range(DRAWS)
    ]
    drawn = [value for value in drawn if not np.isnan(value)]
    low, high = np.quantile(drawn, [0.025, 0.975]) if drawn else (np.nan, np.nan)
    return Measured(measure(items), float(low), float(high), len(items))


def report(verdicts: Sequence[Verdict]) -> list[str]:
    """All of it in words, a line each."""
    marks = marks_of(verdicts)
    raters = sorted({one.rater for one in verdicts})
    lines = [f"{len(verdicts):,} verdicts of {len(raters)} raters on {len(marks):,} items"]
    # Raters by number: a report may be shown to others.
    for i, j in combinations(range(len(raters)), 2):
        both = [(said[raters[i]], said[raters[j]]) for said in marks.values()
                if raters[i] in said and raters[j] in said]
        found = with_interval(kappa, both)
        if found is not None:
            lines.append(f"raters {i + 1} and {j + 1} agree, Cohen's kappa {found}")
    shared = [list(said.values()) for said in marks.values() if len(said) > 1]
    alpha = with_interval(krippendorff, shared)
    if alpha is not None:
        lines.append(f"all together, Krippendorff's alpha {alpha}")
    sure = [one for one in verdicts if one.preferred is not None]
    sides = [one.preferred == one.left for one in sure if one.left]
    bias = with_interval(lambda x: float(np.mean(x)), sides)
    if bias is not None:
        lines.append(f"the left answer was preferred in a share of {bias}; 0.5 is no bias")
    rated = [one.preferred == "good" for one in sure if not one.left]
    liked = with_interval(lambda x: float(np.mean(x)), rated)
    if liked is not None:
        lines.append(f"answers were called good in a share of {liked}")
    for number, rater in enumerate(raters, 1):
        halves = drift(rater, verdicts, marks)
        if halves is not None:
            lines.append(
                f"rater {number} agrees with the others in {halves[0]:.0%} of the first half of "
                f"their verdicts, in {halves[1]:.0%} of the second"
            )
    return lines


def drift(
    rater: str, verdicts: Sequence[Verdict], marks: Marks
) -> tuple[float, float] | None:
    """Shares in which a rater agrees with what most others say, in two halves; None for too few."""
    agreed = []
    for one in verdicts:
        others = [mark for who, mark in marks[one.item].items() if who != rater]
        if one.rater == rater and others:
            common = max(sorted(set(others)), key=others.count)
            agreed.append((one.preferred or "tie") == common)
    if len(agreed) < 2:
        return None
    middle = len(agreed) // 2
    return float(np.mean(agreed[:middle])), float(np.mean(agreed[middle:]))
