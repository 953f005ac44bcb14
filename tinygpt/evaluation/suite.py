"""A suite asks a model its items and writes down, line by line, what was answered.

    results = evaluate(suite, subject, Path("run/evaluations/addition.jsonl"))
    for row in rows(results): ...                       its table (tables.py)

Read first: results.py. Read next: tables.py, suites/__init__.py.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from tinygpt.evaluation.results import VERSION, Results, begin
from tinygpt.evaluation.subject import Subject

Warn = Callable[[str], object]
Progress = Callable[[str, float, float], object]


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
