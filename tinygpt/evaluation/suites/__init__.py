"""The suites by name, and what each is made of.

    suite = find_suite("text", model="run", data=None)

Read next: text.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tinygpt.errors import UsageError
from tinygpt.evaluation.suite import Suite


@dataclass(frozen=True)
class Asked:
    """What a suite is made for.

    model: a path as it was given, None for one that is no path.  data: a file to ask about.
    limit: bytes of a text, None for its suite's own.  size: small, medium or large.
    template, shots: how questions are put, None for their format's own.
    """

    model: str | None = None
    data: str | None = None
    limit: int | None = None
    template: str | None = None
    shots: int = 0
    size: str = "medium"
    seed: int = 0


def find_suite(name: str, asked: Asked) -> Suite:
    """The suite of a name.  Raises UsageError for another name, UserError for its data."""
    if name not in SUITES:
        raise UsageError(f"there is no suite {name!r}. There are: {', '.join(SUITES)}.")
    return SUITES[name](asked)


def _text(asked: Asked) -> Suite:
    from tinygpt.evaluation.suites.text import LIMIT, TextSuite, documents_of, held_out, learned

    if asked.data is None and asked.model is None:
        raise UsageError("which text? Give it with --data FILE.")
    if asked.data is not None:
        documents = documents_of(asked.data)
    else:
        documents = held_out(Path(str(asked.model)))
    known = learned(asked.model) if asked.model is not None else None
    return TextSuite(documents, known, asked.limit or LIMIT)


def _questions(asked: Asked) -> Suite:
    from tinygpt.evaluation.suites.files import questions_suite

    if asked.data is None:
        raise UsageError("which questions? Give them with --data FILE.")
    return questions_suite(asked.data, asked.template, asked.shots, asked.seed)


SUITES = {"text": _text, "questions": _questions}
