"""The exercises, in the order in which they build on each other; a file for each area.

Read next: engine.py.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache

from tinygpt.course.exercise import Exercise
from tinygpt.errors import UsageError
from tinygpt.machine.terminal import command, visible


@lru_cache
def exercises() -> tuple[Exercise, ...]:
    """All of them; number n is the n-th, from 1."""
    from tinygpt.course.exercises import (
        agreeing,
        alike,
        attention,
        block,
        broadcasting,
        clusters,
        curating,
        data,
        engine,
        in_c,
        learning,
        measuring,
        overdoing,
        preferring,
        products,
        rewarding,
        softmax,
        squeezing,
        teaching,
        text,
        tuning,
        using,
    )

    areas = (
        engine, broadcasting, products, softmax, block, attention, text, data, learning, using,
        tuning, teaching, in_c, alike, curating, measuring, agreeing, preferring, rewarding,
        overdoing, squeezing, clusters,
    )
    return tuple(one for area in areas for one in area.EXERCISES)


def find(name: str) -> Exercise:
    """The exercise of a name or a number.  Raises UsageError."""
    known = exercises()
    if name.isdecimal() and 1 <= int(name) <= len(known):
        return known[int(name) - 1]
    wanted = name.lower().replace("_", "-").removesuffix(".py").removesuffix(".c")
    for one in known:
        if one.name == wanted:
            return one
    near = get_close_matches(wanted, [one.name for one in known], 1)
    instead = f" Did you mean {near[0]}?" if near else ""
    raise UsageError(
        f"there is no exercise {visible(name)!r}.{instead} `{command('learn', 'list')}` names all."
    )


def number_of(exercise: Exercise) -> int:
    """Its place in the order, from 1."""
    return exercises().index(exercise) + 1
