"""What lines of results amount to, by their kind.

    rows(results)           a table: numbers with their intervals
    verdict(results)        what to know besides, in sentences
    paired(a, b)            two models on the same items
    beside(several)         several models' tables, and how each differs from the first

Three kinds there are: "text" (language_modelling.py), "choice" (multiple_choice.py) and "written"
(written.py). A suite of any kind is items and how to ask them; what its lines amount to is the
kind's.

Read next: page.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygpt.errors import UserError
from tinygpt.evaluation import language_modelling, multiple_choice, written
from tinygpt.evaluation.results import Pair, Results, Row, left_out, same_items, told

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


def beside(several: Sequence[Results]) -> list[tuple[Results, list[Row], str]]:
    """(results, its table, how its first number differs from the first model's) of models that were
    asked as the first one was; nothing where that stands alone.

    Where a model has no number its table is empty, and it is said why.
    """
    first = several[0]
    like = [one for one in several if one.header["suite"] == first.header["suite"]
            and one.header["settings"] == first.header["settings"]]
    found: list[tuple[Results, list[Row], str]] = []
    for one in like if len(like) > 1 else ():
        try:
            table = rows(one)
            pairs = [] if one is first else paired(first, one)
        except UserError as error:
            found.append((one, [], str(error)))
            continue
        said = [told(pair.change, pair.name, pair.lower_is_better, pair.percent)
                for pair in pairs if pair.name == table[0].name]
        found.append((one, table, "".join(said)))
    return found


def _what(results: Results) -> tuple[Any, Any, np.random.Generator]:
    return results.header, results.lines, np.random.default_rng(SEED)
