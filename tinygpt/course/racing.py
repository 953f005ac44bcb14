"""Grading speed: the same function as before, and so many times as fast, here and now.

The two take turns, and what counts is the median of the ratios of neighbours: a machine that is
busy is busy for both.
"""

from __future__ import annotations

import copy
import functools
import statistics
import time
from collections.abc import Callable
from typing import Any

from tinygpt.course.exercise import Exercise
from tinygpt.course.route import Callee
from tinygpt.course.stages import Paper, Stage
from tinygpt.course.writing import Tell, candidate

TURNS = 7
LEAST = 0.02  # seconds of one turn


def grade(
    exercise: Exercise, text: str, asked: dict[str, Any], tell: Tell, begin: Callable[[], None]
) -> None:
    """Grade a file whose function must be right, and fast."""
    candidate(exercise, text, asked, tell, begin, lambda paper, f: [faster(paper, f)])


def faster(
    paper: Paper, f: Callee, timed: Callable[[Callee, tuple[Any, ...]], float] | None = None
) -> Stage:
    """How many times as fast as the real one, and whether that is enough."""
    assert paper.exercise.work is not None
    arguments = paper.exercise.work()
    timed = timed or seconds
    real, hers = (functools.partial(paper.exercise.run, g) for g in (paper.route.real, f))
    ratios = []
    for _ in range(TURNS):
        theirs, mine = timed(real, arguments), timed(hers, arguments)
        ratios.append(theirs / mine)
    ratio, goal = statistics.median(ratios), paper.exercise.goal
    says = f"{ratio:.1f} times as fast as the real one, here and now"
    if ratio < goal:
        return Stage("faster", False, (f"{says}. The goal is {goal:g} times.",),
                     extra={"ratio": ratio})
    return Stage("faster", True, (f"{says} (the goal: {goal:g})",), extra={"ratio": ratio})


def seconds(f: Callee, arguments: tuple[Any, ...]) -> float:
    """The time of a call, of as many as take LEAST together; arguments are copied outside of it."""
    calls, spent = 0, 0.0
    while spent < LEAST:
        given = copy.deepcopy(arguments)
        start = time.perf_counter()
        f(*given)
        spent += time.perf_counter() - start
        calls += 1
    return spent / calls
