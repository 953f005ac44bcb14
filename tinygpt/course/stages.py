"""What is asked of a function, one stage after another; the first that says no ends it.

    runs         it gives something, without an exception
    shapes       of the right shape and dtype
    properties   laws that hold of every input, and then: it gives what the real one does
    gradient     check_grads, with the part of wrong gradients that it would have caught
    joins        a piece of real work with it, a training mostly, comes out as with the real one

All inputs are drawn from a seed, the same every time; one that fails is made small (draw.py).

Read next: hunting.py, predicting.py, racing.py, the other kinds; child.py, which calls all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from tinygpt.course.cut import edited
from tinygpt.course.draw import Draw, drawn, shrink
from tinygpt.course.exercise import Exercise, Holds, Mistake
from tinygpt.course.outcome import (
    Difference,
    Outcome,
    brief,
    describe,
    difference,
    outcome,
    pasted,
)
from tinygpt.course.route import Callee

LEARNED = 1e-3  # relative: what work that adds up rounding, a training, may be off


@dataclass(frozen=True)
class Stage:
    """name; green: whether it holds; says: what there is to say; call: a call to be pasted."""

    name: str
    green: bool
    says: tuple[str, ...] = ()
    call: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


class Paper:
    """An exercise's inputs for one seed, and the right answers, made once for all candidates.

    route: a Route, or a CRoute (compiling.py).
    """

    def __init__(self, exercise: Exercise, route: Any, seed: int = 0):
        self.exercise, self.route, self.seed = exercise, route, seed
        assert exercise.call is not None
        self.make = exercise.call
        self.inputs = drawn(self.make, seed, exercise.inputs)
        self._mutants: dict[str, list[Outcome]] = {}

    @cached_property
    def right(self) -> list[Outcome]:
        """What the real function makes of each input."""
        return self.outcomes(self.route.real)

    def outcomes(self, f: Callee) -> list[Outcome]:
        return [self.outcome(f, arguments) for _, arguments in self.inputs]

    def outcome(self, f: Callee, arguments: tuple[Any, ...]) -> Outcome:
        with self.route.using(f) as way:
            return outcome(self.exercise.run, way, arguments)

    @cached_property
    def work(self) -> Any:
        """What the real function's piece of work comes to."""
        assert self.exercise.joins is not None
        with self.route.using(self.route.real):
            return self.exercise.joins()

    def mutant(self, mistake: Mistake) -> list[Outcome]:
        """What a mistake makes of each input."""
        if mistake.name not in self._mutants:
            f = self.route.mutant(edited(self.route.source, mistake))
            self._mutants[mistake.name] = self.outcomes(f)
        return self._mutants[mistake.name]


def stages(paper: Paper, f: Callee) -> Iterator[Stage]:
    """Each stage's verdict, up to the first that is not green."""
    mine: list[Outcome] = []  # what f made of each input, as far as it came
    for stage in (_runs, _shapes, _properties, _gradient, _joins):
        verdict = stage(paper, f, mine)
        if verdict is not None:
            yield verdict
            if not verdict.green:
                return


def _runs(paper: Paper, f: Callee, mine: list[Outcome]) -> Stage:
    for (choices, arguments), right in zip(paper.inputs, paper.right, strict=True):
        got = paper.outcome(f, arguments)
        if isinstance(got.error, NotImplementedError):
            return Stage("runs", False, ("It is still to be written.",), extra={"stub": True})
        if got.error is not None and right.error is None:
            return _shrunk(paper, f, "runs", choices, "raises")
        mine.append(got)
    return Stage("runs", True)


def _shapes(paper: Paper, f: Callee, mine: list[Outcome]) -> Stage:
    for (choices, _), got, right in zip(paper.inputs, mine, paper.right, strict=True):
        found = difference(got, right, np.inf)
        if found and found.kind == "form":
            return _shrunk(paper, f, "shapes", choices, "form")
    return Stage("shapes", True)


def _properties(paper: Paper, f: Callee, mine: list[Outcome]) -> Stage:
    for one in paper.exercise.holds:
        for choices, arguments in paper.inputs:
            if not _holds(paper, f, one, arguments):
                return _broken(paper, f, one, choices)
    closeness = paper.exercise.closeness
    for (choices, _), got, right in zip(paper.inputs, mine, paper.right, strict=True):
        if difference(got, right, closeness):
            return _shrunk(paper, f, "properties", choices, "values")
    laws = len(paper.exercise.holds)
    told = f"{laws} law{'s' * (laws > 1)} hold{'s' * (laws == 1)}; " if laws else ""
    return Stage("properties", True, (f"{told}as the real one on {len(paper.inputs)} inputs",))


def _holds(paper: Paper, f: Callee, one: Holds, arguments: tuple[Any, ...]) -> bool:
    with paper.route.using(f) as way:
        return outcome(one.check, way, arguments).value is not False


def _broken(paper: Paper, f: Callee, one: Holds, choices: list[int]) -> Stage:
    """A property that does not hold, with the smallest input that was found."""
    small = shrink(choices, lambda draw: not _holds(paper, f, one, paper.make(draw)))
    arguments = paper.make(Draw(given=small))
    got = paper.outcome(f, arguments)
    gave = f"it gives  {brief(got.value)}" if got.error is None else describe(got.error)
    return Stage("properties", False, (f"Not so: {one.says}.", gave), _call(paper, arguments))


def _shrunk(paper: Paper, f: Callee, name: str, choices: list[int], kind: str) -> Stage:
    """The difference on the smallest input that was found to have one of that kind."""

    def differs(draw: Draw) -> Difference | None:
        arguments = paper.make(draw)
        right = paper.outcome(paper.route.real, arguments)
        return difference(paper.outcome(f, arguments), right, paper.exercise.closeness)

    def fails(draw: Draw) -> bool:
        found = differs(draw)
        return found is not None and found.kind == kind

    small = shrink(choices, fails)
    found = differs(Draw(given=small))
    assert found is not None
    says = [found.says[0].upper() + found.says[1:] + "."]
    says += [f"yours  {found.got}"] * bool(found.got)
    says += [f"right  {found.right}"] * bool(found.right)
    return Stage(name, False, tuple(says), _call(paper, paper.make(Draw(given=small))))


def _call(paper: Paper, arguments: tuple[Any, ...]) -> str:
    return pasted(paper.exercise.shown, paper.exercise.short, arguments)


def _gradient(paper: Paper, f: Callee, mine: list[Outcome]) -> Stage | None:
    if paper.exercise.gradient is None:
        return None
    from minigrad import check_grads

    power = 1.0
    for number in range(3):
        draw = Draw(np.random.default_rng([paper.seed, 1000 + number]))
        with paper.route.using(f):
            function, arguments = paper.exercise.gradient(draw)
            try:
                report = check_grads(
                    function, arguments, seed=number, min_power=0.0, raise_exception=False
                )
            except Exception as error:
                return Stage("gradient", False, (describe(error),))
        power = min(power, report.power)
        if report.failed:
            says = ["The gradient is not that of the forward pass."]
            if report.worst is not None:
                w = report.worst
                place = f"{w.argument}{list(w.index)}"
                says.append(f"{place}: {w.got:.6g}; differences say {w.right:.6g}")
                says.append(w.suspect)
            return Stage("gradient", False, tuple(says))
    return Stage("gradient", True, (f"power: {power:.0%} of wrong gradients would be caught",))


def _joins(paper: Paper, f: Callee, mine: list[Outcome]) -> Stage | None:
    if paper.exercise.joins is None:
        return None
    right = Outcome(paper.work, ())
    before = paper.route.calls
    with paper.route.using(f):
        got = outcome(lambda joins: joins(), paper.exercise.joins, ())
    if paper.route.calls == before:
        raise RuntimeError(f"{paper.exercise.name}: the work never called the function")
    found = difference(got, right, LEARNED)
    if found:
        says = (f"In {paper.exercise.joined} it goes another way: {found.says}.",)
        return Stage("joins", False, says)
    ends = "as with the real one"
    if isinstance(right.value, list) and isinstance(right.value[0], float):
        ends = f"loss {right.value[0]:.2f} to {right.value[-1]:.2f}"
    return Stage("joins", True, (f"{paper.exercise.joined}, {ends}",))


def named(paper: Paper, f: Callee) -> Mistake | None:
    """The mistake that gives the same as f on every input, None if none does.

    One that differs from f nowhere and from the real function somewhere is f's mistake, as far as
    these inputs tell.
    """
    mine = paper.outcomes(f)
    closeness = max(paper.exercise.closeness, 1e-7)

    def alike(theirs: list[Outcome]) -> bool:
        return not any(_apart(a, b, closeness) for a, b in zip(mine, theirs, strict=True))

    if alike(paper.right):
        return None
    return next((one for one in paper.exercise.mistakes if alike(paper.mutant(one))), None)


def _apart(a: Outcome, b: Outcome, closeness: float) -> bool:
    if a.error is not None and b.error is not None:
        return False  # two ways to fail are one failure here
    return difference(a, b, closeness) is not None
