"""The author's check: does each exercise see what it should, and does its grader run her code?

    python -m tests.tinygpt.course [NAME ...]

For each exercise, in a process of its own: the stub is red where nothing is written, the real
function is green on 20 seeds, two other right solutions (solutions/) are green, an exception
planted in the file is seen, every hand-made mistake is red and called by its name, and of the
mutants that a program makes (operators, constants, axes, keepdims, a dropped term) all but those
that compute the same are red.
"""

from __future__ import annotations

import ast
import dataclasses
import signal
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.mutants.operators import mutants
from tinygpt.course import cut, draw, hunting, predicting
from tinygpt.course.exercises import find
from tinygpt.course.folder import begun
from tinygpt.course.hunting import hunted
from tinygpt.course.refusing import refused
from tinygpt.course.route import Route
from tinygpt.course.stages import Paper, named, stages

SOLUTIONS = Path(__file__).parent / "solutions"
SEEDS = 20
LONGEST = 5  # seconds of a generated mutant


@dataclass
class Row:
    """What the check found of an exercise; `faults` are sentences."""

    name: str
    stub: str = ""
    seeds: int = 0
    solutions: int = 0
    mistakes: int = 0
    killed: int = 0
    named: int = 0
    generated: int = 0
    dead: int = 0
    survivors: list[str] = field(default_factory=list)
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


def solutions(exercise) -> list[Path]:
    """Other right solutions, each a learner's file."""
    found = [SOLUTIONS / who / exercise.file for who in ("first", "second")]
    return [path for path in found if path.exists()]


class Slow(BaseException):
    """A mutant that does not end."""


@contextmanager
def alarm(seconds: int) -> Iterator[None]:
    def ring(*_):
        raise Slow

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def dropped(source: str) -> Iterator[str]:
    """Each sum, difference, product and quotient without one of its two terms."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.BinOp) and not isinstance(node.op, ast.Mod):
            for kept in (node.left, node.right):
                lines = source.splitlines(keepends=True)
                begin = sum(map(len, lines[: node.lineno - 1])) + node.col_offset
                end = sum(map(len, lines[: node.end_lineno - 1])) + node.end_col_offset
                yield f"{source[:begin]}({ast.unparse(kept)}){source[end:]}"


def generated(source: str) -> list[tuple[str, str]]:
    """(the changed line, the source) of mutants of what is to be written, none twice."""
    found: dict[str, str] = {}
    lines = source.splitlines()[: cut.given(source)]
    texts = [one.text for one in mutants(source)] + list(dropped(source))
    for text in texts:
        pairs = zip(source.splitlines(), text.splitlines(), strict=False)
        line = next((f"{a.strip()}  ->  {b.strip()}" for a, b in pairs if a != b), "")
        theirs = text.splitlines()[: len(lines)] == lines
        if theirs and ast.dump(ast.parse(text)) != ast.dump(ast.parse(source)):
            found.setdefault(text, line)
    return [(line, text) for text, line in found.items()]


def examine(name: str, seeds: int = SEEDS, programs: bool = True) -> Row:
    """Check one exercise.  programs: generated mutants too."""
    exercise, start = find(name), time.perf_counter()
    draw.PATIENCE = 0.0  # small inputs are for people
    row = Row(name)
    if not exercise.hints:
        row.faults.append("no hint")
    if exercise.in_c:
        from tests.tinygpt.course import author_c

        author_c.examine(exercise, row)
    elif exercise.kind == "predict":
        _predict(exercise, row)
    elif exercise.kind == "hunt":
        _hunt(exercise, row)
    else:
        _written(exercise, row, seeds, programs)
    row.seconds = time.perf_counter() - start
    return row


def flakes(name: str, repeats: int) -> Row:
    """Right answers with many seeds: `generated` papers were written, `solutions` of them green."""
    exercise, row = find(name), Row(name)
    if exercise.in_c or exercise.kind in ("hunt", "predict"):  # nothing is drawn for these
        return row
    route = Route(exercise.module, exercise.function)
    right = [route.real, *(route.load(path.read_text(encoding="utf-8"), str(path))
                           for path in solutions(exercise))]
    for seed in range(repeats):
        kept = exercise.gradient if seed % 20 == 0 else None
        alone = dataclasses.replace(exercise, joins=None, gradient=kept)
        paper = Paper(alone, route, seed)
        for f in right:
            red = [verdict for verdict in stages(paper, f) if not verdict.green]
            row.generated += 1
            row.solutions += not red
            row.faults += [f"seed {seed}: {verdict}" for verdict in red]
    return row


def _written(exercise, row: Row, seeds: int, programs: bool) -> None:
    route = Route(exercise.module, exercise.function)
    paper = Paper(exercise, route)
    verdicts = list(stages(paper, route.load(begun(exercise), "stub")))
    row.stub = verdicts[-1].name
    if verdicts[-1].green or not verdicts[-1].extra.get("stub"):
        row.faults.append("the stub is not seen as one")
    for verdict in stages(paper, route.real):
        if not verdict.green:
            row.faults.append(f"the real function is red: {verdict}")
    for seed in range(seeds):
        kept = exercise.gradient if seed == 1 else None  # half a second each
        alone = dataclasses.replace(exercise, joins=None, gradient=kept)
        red = [v for v in stages(Paper(alone, route, seed), route.real) if not v.green]
        row.faults += [f"the real function is red with seed {seed}: {v}" for v in red]
        row.seeds += not red
    _solved(exercise, row, paper)
    planted = "raise RuntimeError('planted')"
    hers = begun(exercise).replace('raise NotImplementedError("write this")', planted)
    said = list(stages(paper, route.load(hers, "planted")))[-1]
    if said.green or "planted" not in str(said.says):
        row.faults.append("an exception planted in the file is not seen")
    for one in exercise.mistakes:
        row.mistakes += 1
        f = route.mutant(cut.edited(route.source, one))
        last = list(stages(paper, f))[-1]
        row.killed += not last.green
        found = named(paper, f)
        row.named += found == one
        if last.green:
            row.faults.append(f"lives: {one.name}")
        elif found != one:
            row.faults.append(f"{one.name} [{last.name}] is called {found and found.name}")
    if programs:
        for line, text in generated(route.source):
            row.generated += 1
            if _dies(paper, text):
                row.dead += 1
            else:
                row.survivors.append(line)


def _dies(paper: Paper, text: str) -> bool:
    try:
        with alarm(LONGEST):
            f = paper.route.mutant(text)
            return not list(stages(paper, f))[-1].green
    except (Slow, RecursionError, MemoryError):
        return True


def _solved(exercise, row: Row, paper: Paper) -> None:
    allowed = cut.imported(begun(exercise))
    for path in solutions(exercise):
        text = path.read_text(encoding="utf-8")
        why = refused(text, exercise, allowed)
        red = [v for v in stages(paper, paper.route.load(text, str(path))) if not v.green]
        row.faults += [f"{path.parent.name}'s solution: {v}" for v in red]
        row.faults += [f"{path.parent.name}'s solution is refused: {why}"] * bool(why)
        row.solutions += not red and not why


def _hunt(exercise, row: Row) -> None:
    route = Route(exercise.module, exercise.function)

    def test_of(text: str, where: str):
        namespace = {"__name__": "hunt"}
        exec(compile(text, where, "exec"), namespace)
        return namespace["test"]

    if len(exercise.equals) < 2:
        row.faults.append("fewer than two other right forms")
    last = hunted(exercise, route, test_of(hunting.stub(exercise), "stub"))[-1]
    row.stub = last.name
    if last.green:
        row.faults.append("the stub kills all")
    careless = "def test(f):\n    pass\n"
    if hunted(exercise, route, test_of(careless, "careless"))[-1].extra.get("killed"):
        row.faults.append("a test that looks at nothing kills something")
    row.mistakes = len(exercise.mistakes)
    for path in solutions(exercise):
        text = path.read_text(encoding="utf-8")
        why = refused(text, exercise, set())
        red = [v for v in hunted(exercise, route, test_of(text, str(path))) if not v.green]
        row.faults += [f"{path.parent.name}'s test: {v}" for v in red] + [why] * bool(why)
        row.solutions += not red and not why
        row.killed = row.named = row.mistakes if not red else 0
    planted = test_of("def test(f):\n    raise RuntimeError('planted')\n", "planted")
    if "planted" not in str(hunted(exercise, route, planted)[0].says):
        row.faults.append("an exception planted in the test is not seen")
    row.seeds = 1


def _predict(exercise, row: Row) -> None:
    dots = {one.name: ... for one in exercise.questions}
    first = predicting.answered(exercise, dots)[-1]
    row.stub = first.name
    if first.green:
        row.faults.append("dots are taken for answers")
    truths = {one.name: one.truth() for one in exercise.questions}
    lists = {k: list(v) if isinstance(v, tuple) else v for k, v in truths.items()}
    for answers in (truths, lists):
        if all(stage.green for stage in predicting.answered(exercise, answers)):
            row.solutions += 1
        else:
            row.faults.append(f"the truth is red: {predicting.answered(exercise, answers)[-1]}")
    for one in exercise.questions:
        for wrong, _ in one.wrong:
            row.mistakes += 1
            last = predicting.answered(exercise, {**truths, one.name: wrong})[-1]
            row.killed += not last.green and last.name == one.name
            row.named += bool(last.extra.get("named"))
            if last.green or not last.extra.get("named"):
                row.faults.append(f"{one.name} = {wrong!r} is not named: {last}")
    row.seeds = 1


def shown(row: Row) -> str:
    """A line of the table."""
    share = f"{row.dead}/{row.generated}" if row.generated else ""
    return textwrap.dedent(
        f"| {row.name} | {row.stub} | {row.seeds} | {row.solutions} | {row.killed}/{row.mistakes} "
        f"| {row.named}/{row.mistakes} | {share} | {row.seconds:.1f} |"
    )
