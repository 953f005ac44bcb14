"""A suite asks a model its items and writes down, line by line, what was answered.

    results = evaluate(suite, subject, Path("run/evaluations/addition.jsonl"))
    for row in rows(results, rng): ...                  its table
    for pair in paired(results, others, rng): ...       two models on the same items

Three kinds there are: "text" (language_modelling.py), "choice" (multiple_choice.py) and "written"
(written.py). A suite of any kind is items and how to ask them; what lines amount to is the kind's.

Read first: results.py. Read next: suites/__init__.py.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tinygpt.evaluation import language_modelling
from tinygpt.evaluation.results import VERSION, Pair, Results, Row, begin, left_out, same_items
from tinygpt.evaluation.subject import Subject

SEED = 20
Warn = Callable[[str], object]
Progress = Callable[[str, float, float], object]
KINDS: dict[str, Any] = {"text": language_modelling}


class Suite(ABC):
    """Items with known answers.

    settings: what makes two evaluations comparable: a hash of the items, shots, seed ...
    notes: sentences for whoever reads the results.
    resumable: whether it goes on after lines that are there.
    """

    kind: ClassVar[str]
    resumable: ClassVar[bool] = True

    def __init__(self, name: str, settings: dict[str, Any], notes: Sequence[str] = ()):
        self.name, self.settings, self.notes = name, settings, list(notes)

    @abstractmethod
    def __len__(self) -> int:
        """How many lines there will be, about."""

    @abstractmethod
    def lines(self, subject: Subject, done: Collection[str]) -> Iterator[dict[str, Any]]:
        """A line of results for each item, but for those named in `done`."""

    def close(self, lines: list[dict[str, Any]]) -> dict[str, Any]:
        """What is known when all lines are there, for the header; it may add to the lines."""
        return {}


def evaluate(
    suite: Suite, subject: Subject, out: Path | None = None, *, resume: bool = False,
    progress: Progress | None = None, warn: Warn = lambda text: None,
) -> Results:
    """Ask a model a suite.

    out: a file that grows with every item; None keeps the results in memory.
    resume: go on after the lines that are there already.
    Raises UserError where the file is of something else or cannot be written.
    """
    header = {
        "results": VERSION, "suite": suite.name, "kind": suite.kind, "model": subject.name,
        "identity": subject.identity, "settings": suite.settings, "notes": suite.notes,
    }
    lines: list[dict[str, Any]] = []
    log = None
    if out is not None:
        lines, log = begin(out, header, resume and suite.resumable, warn)
    for line in suite.lines(subject, frozenset(line["item"] for line in lines)):
        lines.append(line)
        if log is not None:
            log.line(json.dumps(line))
        if progress is not None:
            progress(f"{suite.name}: asking", len(lines), max(len(suite), len(lines)))
    if progress is not None:
        progress(f"{suite.name}: counting", 0, 0)
    more = suite.close(lines)
    results = Results({**header, **more}, lines)
    if out is not None and more:
        results.save(out)
    return results


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
