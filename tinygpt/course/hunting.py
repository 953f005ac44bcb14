"""Grading a test that was written: it must pass what is right, and fail on mistakes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygpt.course import cut
from tinygpt.course.exercise import Exercise
from tinygpt.course.outcome import describe
from tinygpt.course.refusing import refused
from tinygpt.course.route import Callee, Route
from tinygpt.course.stages import Stage
from tinygpt.course.writing import Tell, broken, said, unreadable


def stub(exercise: Exercise) -> str:
    """The learner's file: the function to read, and the beginning of a test."""
    source = cut.text_of(exercise.module, exercise.function)
    shown = "\n".join(f"#     {line}".rstrip() for line in source.rstrip().splitlines())
    return (
        f'"""{cut.heading(exercise)}"""\n\nimport numpy as np\n\n'
        f"# The function, as it is in {exercise.module}:\n#\n{shown}\n\n\n"
        f"def test({exercise.short}):\n"
        '    """Raise an AssertionError if the function is wrong in any way you can think of."""\n'
        f"{exercise.begins}"
    )


def survives(test: Callable[[Callee], Any], f: Callee) -> Exception | None:
    """What the test raises for a function, None if it is content."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            test(f)
        except Exception as error:
            return error
    return None


def grade(
    exercise: Exercise, text: str, asked: dict[str, Any], tell: Tell, begin: Callable[[], None]
) -> None:
    """Grade a file that defines `test`."""
    try:
        why = refused(text, exercise, set())
    except SyntaxError as error:
        tell(said(unreadable(error)))
        return
    if why:
        tell(said(Stage("runs", False, (why,))))
        return
    route = Route(exercise.module, exercise.function)
    begin()
    namespace: dict[str, Any] = {"__name__": "hunt", "__file__": asked["path"]}
    try:
        exec(compile(text, asked["path"], "exec", dont_inherit=True), namespace)
    except Exception as error:
        tell(said(Stage("runs", False, (broken(error),))))
        return
    test = namespace.get("test")
    if not callable(test):
        tell(said(Stage("runs", False, ("It defines no function test.",))))
        return
    for stage in hunted(exercise, route, test):
        tell(said(stage))
        if not stage.green:
            return


def hunted(exercise: Exercise, route: Route, test: Callable[[Callee], Any]) -> list[Stage]:
    """Does it accept what is right, and what does it kill?"""
    error = survives(test, route.real)
    if isinstance(error, NotImplementedError):
        return [Stage("runs", False, ("It is still to be written.",), extra={"stub": True})]
    if error is not None:
        says = f"It fails on the function that is right: {describe(error)}"
        return [Stage("accepts", False, (says,))]
    for one in exercise.equals:
        error = survives(test, route.mutant(cut.edited(route.source, one)))
        if error is not None:
            says = f"It fails on one that is right as well, {one.name}: {describe(error)}"
            return [Stage("accepts", False, (says, one.why))]
    accepted = f"the real one, and {len(exercise.equals)} others that are right too"
    alive = [
        one for one in exercise.mistakes
        if survives(test, route.mutant(cut.edited(route.source, one))) is None
    ]
    total = len(exercise.mistakes)
    killed = f"{total - len(alive)} of {total} mistakes noticed"
    if alive:
        told = (f"{killed}. One that it lets live: {alive[0].name}.", alive[0].why)
        extra = {"killed": total - len(alive), "of": total}
        return [Stage("accepts", True, (accepted,)), Stage("hunts", False, told, extra=extra)]
    return [Stage("accepts", True, (accepted,)), Stage("hunts", True, (killed,))]
