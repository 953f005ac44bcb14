"""The author's check of exercises in C."""

from __future__ import annotations

import tempfile

from tests.tinygpt.course.author import solutions
from tinygpt.course import cut
from tinygpt.course.compiling import CRoute, compiler
from tinygpt.course.folder import begun
from tinygpt.course.racing import faster
from tinygpt.course.stages import Paper, named, stages


def examine(exercise, row) -> None:
    """Fill in a Row of author.py."""
    if not compiler():
        row.faults.append("there is no compiler")
        return
    with tempfile.TemporaryDirectory() as folder:
        _examine(exercise, row, CRoute(exercise, folder))


def _examine(exercise, row, route) -> None:
    paper = Paper(exercise, route)
    start = begun(exercise)
    if exercise.kind == "faster":
        row.stub = "faster"
        if any(not stage.green for stage in stages(paper, route.load(start, "stub.c"))):
            row.faults.append("the rung to begin with is red")
        if faster(paper, route.real, lambda f, arguments: 1.0).green:
            row.faults.append("the rung to begin with is fast enough")
    else:
        row.stub = "runs"
        last = list(stages(paper, route.load(start, "stub.c")))[-1]
        if last.green or "/* write this */" not in start:
            row.faults.append("the stub is not seen")
    for seed in range(20):
        row.seeds += all(one.green for one in stages(Paper(exercise, route, seed), route.real))
    if row.seeds < 20:
        row.faults.append("the real function is red")
    for path in solutions(exercise):
        f = route.load(path.read_text(encoding="utf-8"), str(path))
        red = [one for one in stages(paper, f) if not one.green]
        row.faults += [f"{path.parent.name}'s solution: {one}" for one in red]
        row.solutions += not red
    for one in exercise.mistakes:
        row.mistakes += 1
        f = route.mutant(cut.edited(route.source, one))
        last = list(stages(paper, f))[-1]
        found = named(paper, f)
        row.killed, row.named = row.killed + (not last.green), row.named + (found == one)
        if last.green:
            row.faults.append(f"lives: {one.name}")
        elif found != one:
            row.faults.append(f"{one.name} is called {found and found.name}")
