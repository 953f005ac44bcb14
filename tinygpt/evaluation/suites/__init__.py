"""The suites by name, and what each is made of.

    suite = find_suite("text", model="run", data=None)

Read next: text.py, files.py, generated.py, planted.py, code.py.
"""

from __future__ import annotations

from collections.abc import Callable
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
    attempts: of each task of code.
    """

    model: str | None = None
    data: str | None = None
    limit: int | None = None
    template: str | None = None
    shots: int = 0
    attempts: int = 1
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
        documents, source = documents_of(asked.data), Path(asked.data).name
    else:
        documents = held_out(Path(str(asked.model)))
        source = f"what {Path(str(asked.model)).name} held out"
    known = learned(asked.model) if asked.model is not None else None
    return TextSuite(documents, known, asked.limit or LIMIT, source=source)


def _questions(asked: Asked) -> Suite:
    from tinygpt.evaluation.suites.files import questions_suite
    from tinygpt.evaluation.suites.text import training_pieces

    if asked.data is None:
        raise UsageError("which questions? Give them with --data FILE.")
    known = training_pieces(asked.model) if asked.model is not None else ()
    return questions_suite(asked.data, asked.template, asked.shots, asked.seed, known)


def _answers(asked: Asked) -> Suite:
    from tinygpt.evaluation.suites.files import answers_suite

    if asked.data is None:
        raise UsageError("which prompts and answers? Give them with --data FILE.")
    return answers_suite(asked.data, asked.seed)


def _generated(name: str) -> Callable[[Asked], Suite]:
    def make(asked: Asked) -> Suite:
        from tinygpt.evaluation.suites.generated import closing_suite, generated_suite

        if name == "closing":
            return closing_suite(asked.size, asked.seed)
        return generated_suite(name, asked.size, asked.seed)

    return make


def _planted(name: str) -> Callable[[Asked], Suite]:
    def make(asked: Asked) -> Suite:
        from tinygpt.evaluation.suites.planted import planted

        kind, _, percent = name.partition("-")
        return planted(asked.size, asked.seed, int(percent or 70)).suite(kind)

    return make


def _code(asked: Asked) -> Suite:
    from tinygpt.evaluation.suites.code import code_suite

    return code_suite(asked.size, asked.seed, asked.attempts)


GENERATED = ("addition", "counting", "copying", "brackets", "closing")
PLANTED = ("facts", "misconceptions", "association-70", "association-50", "names", "memorisation")
SUITES: dict[str, Callable[[Asked], Suite]] = {
    "text": _text, "questions": _questions, "answers": _answers,
    **{name: _generated(name) for name in GENERATED},
    "code": _code, **{name: _planted(name) for name in PLANTED},
}
