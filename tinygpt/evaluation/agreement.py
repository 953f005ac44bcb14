"""How far two who mark the same items agree, beyond what chance would give them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def kappa(pairs: Sequence[tuple[str, str]]) -> float:
    """Cohen's kappa: (agreement - expected) / (1 - expected), what chance would give being
    expected.  nan for no pair, or where all are one mark (Cohen 1960)."""
    if not pairs:
        return float("nan")
    n = len(pairs)
    first, second = (Counter(column) for column in zip(*pairs, strict=True))
    agreed = sum(a == b for a, b in pairs) / n
    expected = sum(first[mark] * second[mark] for mark in first) / n**2
    return (agreed - expected) / (1 - expected) if expected < 1 else float("nan")
