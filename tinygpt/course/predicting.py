"""Grading what somebody said before running it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygpt.course import cut
from tinygpt.course.exercise import Exercise, Question
from tinygpt.course.outcome import brief
from tinygpt.course.stages import Stage
from tinygpt.course.writing import Tell, broken, said, unreadable


def stub(exercise: Exercise) -> str:
    """The learner's file: questions, with dots for answers."""
    parts = [f'"""{cut.heading(exercise)}"""\n']
    for one in exercise.questions:
        lines = textwrap.wrap(one.asks, 96, break_on_hyphens=False)
        parts.append("\n".join(f"# {line}" for line in lines) + f"\n{one.name} = ...\n")
    return "\n".join(parts)


def grade(
    exercise: Exercise, text: str, asked: dict[str, Any], tell: Tell, begin: Callable[[], None]
) -> None:
    """Grade a file of answers."""
    begin()
    namespace: dict[str, Any] = {"__name__": "answers", "__file__": asked["path"]}
    try:
        exec(compile(text, asked["path"], "exec", dont_inherit=True), namespace)
    except SyntaxError as error:
        tell(said(unreadable(error)))
        return
    except Exception as error:
        tell(said(Stage("runs", False, (broken(error),))))
        return
    for stage in answered(exercise, namespace):
        tell(said(stage))


def answered(exercise: Exercise, answers: dict[str, Any]) -> list[Stage]:
    """A stage for each question, up to the first that is open or wrong."""
    found = []
    if all(answers.get(one.name, ...) is ... for one in exercise.questions):
        nothing = ("Nothing is answered yet: put something in place of the dots.",)
        return [Stage("answers", False, nothing, extra={"stub": True})]
    for one in exercise.questions:
        answer = answers.get(one.name, ...)
        if answer is ...:
            found.append(Stage(one.name, False, ("Still open.",)))
            break
        if not agrees(answer, one.truth(), one.within):
            why = next((why for wrong, why in one.wrong if agrees(answer, wrong, one.within)), "")
            told = [f"Not {brief(answer)}.", *([why] if why else [])]
            found.append(Stage(one.name, False, tuple(told), extra={"named": bool(why)}))
            break
        found.append(Stage(one.name, True, (brief(answer),)))
    return found


def agrees(answer: Any, truth: Any, within: float) -> bool:
    """Whether an answer is as good as the truth: a list for a tuple, a float roughly."""
    if isinstance(truth, bool) or isinstance(truth, str) or truth is None:
        return bool(answer == truth) and type(answer) is type(truth)
    try:
        a, b = np.asarray(answer, float), np.asarray(truth, float)
    except (TypeError, ValueError):
        return bool(answer == truth)
    if a.shape != b.shape:
        return False
    exact = all(isinstance(x, (int, np.integer)) for x in np.ravel(np.asarray(truth, object)))
    limit = 0 if exact else within * np.abs(b) + 1e-9
    return bool((np.abs(a - b) <= limit).all())


def right(one: Question) -> str:
    """The answer, for who asks to be shown."""
    return f"{one.name} = {one.truth()!r}"
