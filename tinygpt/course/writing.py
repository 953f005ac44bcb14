"""Grading a function that was written: the stages, then the mistake's name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from tinygpt.course import cut
from tinygpt.course.exercise import Exercise
from tinygpt.course.outcome import describe, line_of
from tinygpt.course.refusing import refused
from tinygpt.course.route import Callee, Route
from tinygpt.course.stages import Paper, Stage, named, stages

Tell = Callable[[dict[str, Any]], None]


def said(stage: Stage) -> dict[str, Any]:
    """A stage as it is told to the other process."""
    told = dataclasses.asdict(stage)
    return {"stage": told.pop("name"), **told}


def grade(
    exercise: Exercise, text: str, asked: dict[str, Any], tell: Tell, begin: Callable[[], None]
) -> None:
    """Grade a file that defines the exercise's function."""
    candidate(exercise, text, asked, tell, begin, lambda paper, f: [])


def candidate(
    exercise: Exercise, text: str, asked: dict[str, Any], tell: Tell, begin: Callable[[], None],
    more: Callable[[Paper, Callee], list[Stage]],
) -> None:
    """The stages of a function, then `more` of them if all are green."""
    try:
        why = refused(text, exercise, cut.imported(cut.stub(exercise)))
    except SyntaxError as error:
        tell(said(unreadable(error)))
        return
    if why:
        tell(said(Stage("runs", False, (why,))))
        return
    route = Route(exercise.module, exercise.function)
    warm(exercise)
    begin()
    try:
        f = route.load(text, asked["path"])
    except Exception as error:
        tell(said(Stage("runs", False, (broken(error),))))
        return
    paper = Paper(exercise, route, asked.get("seed", 0))
    for stage in stages(paper, f):
        tell(said(stage))
        if not stage.green:
            _name(paper, f, stage, tell)
            return
    for stage in more(paper, f):
        tell(said(stage))


def _name(paper: Paper, f: Callee, stage: Stage, tell: Tell) -> None:
    if stage.extra.get("stub"):
        return
    mistake = named(paper, f)
    if mistake is not None:
        tell({"mistake": mistake.name, "why": mistake.why})


def warm(exercise: Exercise) -> None:
    """Import what the stages will, before nothing may be written any more."""
    if exercise.gradient is not None:
        import minigrad.gradcheck  # noqa: F401


def unreadable(error: SyntaxError) -> Stage:
    """A file that is no Python."""
    where = f"line {error.lineno}: " if error.lineno else ""
    return Stage("runs", False, (f"Python cannot read it: {where}{error.msg}.",))


def broken(error: Exception) -> str:
    """A file that cannot be executed."""
    if isinstance(error, SyntaxError):
        return unreadable(error).says[0]
    if isinstance(error, LookupError) and line_of(error) is None:
        return f"{str(error)[0].upper()}{str(error)[1:]}."
    return f"It cannot be loaded: {describe(error)}"
