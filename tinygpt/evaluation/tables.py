"""What lines of results amount to, by their kind.

    rows(results)           a table: numbers with their intervals
    verdict(results)        what to know besides, in sentences
    paired(a, b)            two models on the same items

Three kinds there are: "text" (language_modelling.py), "choice" (multiple_choice.py) and "written"
(written.py). A suite of any kind is items and how to ask them; what its lines amount to is the
kind's.

Read next: page.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygpt.evaluation import language_modelling, multiple_choice, written
from tinygpt.evaluation.results import Pair, Results, Row, left_out, same_items

SEED = 20
KINDS: dict[str, Any] = {"text": language_modelling, "choice": multiple_choice, "written": written}


def rows(results: Results) -> list[Row]:
    """The table of a file of results.  Raises UserError where nothing could be asked, or where the
    answers say nothing (multiple_choice.py)."""
    return KINDS[results.header["kind"]].rows(*_what(results))


def verdict(results: Results) -> list[str]:
    """What to know besides the numbers, in sentences."""
    said = KINDS[results.header["kind"]].verdict(*_what(results))
    return [*results.header["notes"], *said, *filter(None, [left_out(results.lines)])]


def paired(a: Results, b: Results) -> list[Pair]:
    """b against a, item by item.  Raises UserError where they do not fit together."""
    first, second = same_items(a, b)
    return KINDS[a.header["kind"]].paired(first, second, np.random.default_rng(SEED))


def _what(results: Results) -> tuple[Any, Any, np.random.Generator]:
    return results.header, results.lines, np.random.default_rng(SEED)
