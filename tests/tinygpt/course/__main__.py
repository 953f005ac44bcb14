"""`python -m tests.tinygpt.course [NAME ...]`: the author's check, as a table; 1 for a fault.

    --times       how long grading takes, of a right and of a wrong answer, and of which longest
    --repeat 100  so many seeds of each: right answers that were red once, which none may be
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.tinygpt.course.author import Row, examine, flakes, shown, solutions
from tests.tinygpt.course.survivors import reason
from tinygpt.course import cut
from tinygpt.course.exercise import Exercise
from tinygpt.course.exercises import exercises, find
from tinygpt.course.folder import begun, solution
from tinygpt.course.grade import grade

HEAD = "| exercise | stub red at | seeds | others | killed | named | generated | s |"


def apart(name: str, how: str = "--one") -> Row:
    """`examine` in a process of its own: a function is replaced before it is imported.

    how: "--quick" for three seeds and no generated mutants.
    """
    environment = {**os.environ, "KERNELS_BACKEND": "numpy", "TINYGPT_THREADS": "1",
                   "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.tinygpt.course", how, name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        return Row(name, faults=[done.stderr.strip()[-2000:]])
    return Row(**json.loads(done.stdout.splitlines()[-1]))


def times(names: list[str]) -> None:
    """Grade a solution of each exercise, and a mistake; seconds by the clock and of processors."""
    import resource  # not on Windows

    clock, computed, whose = [], [], []
    for one in map(find, names):
        for text in answers(one):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, one.file)
                path.write_text(text, encoding="utf-8")
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                clock.append(grade(one, path).seconds)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
            computed.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            whose.append(one.name)
    for name, found in (("by the clock", clock), ("of processors", computed)):
        ordered = sorted(found)
        print(
            f"{len(found)} gradings, seconds {name}: median {ordered[len(found) // 2]:.2f}, "
            f"p95 {ordered[int(0.95 * len(found))]:.2f}, longest {ordered[-1]:.2f}"
        )
    longest = sorted(zip(computed, whose, strict=True), reverse=True)[:8]
    print("longest, of processors:", ", ".join(f"{name} {took:.2f}" for took, name in longest))


def repeated(names: list[str], times: int) -> bool:
    """Whether every right answer was green with every seed, each exercise in its own process."""
    red = {}
    with ThreadPoolExecutor(2) as pool:
        rows = pool.map(lambda name: apart(name, f"--repeat={times}"), names)
        for name, row in zip(names, rows, strict=True):
            print(f"{name}: {row.solutions} of {row.generated} green", flush=True)
            red[name] = row.faults
    for name, faults in red.items():
        print(*(f"{name}: {fault}" for fault in faults[:3]), sep="\n", end="\n" * bool(faults))
    return not any(red.values())


def answers(exercise: Exercise) -> list[str]:
    """A right answer and, where one can be made of the real function, a wrong one."""
    right = [path.read_text(encoding="utf-8") for path in solutions(exercise)[:1]]
    if exercise.kind in ("predict", "hunt"):
        return right or [begun(exercise)]
    wrong = cut.edited(solution(exercise), exercise.mistakes[-1])
    head = begun(exercise)
    return [*right, head.replace(head[head.index(wrong.splitlines()[0]) :], wrong)]


def main() -> None:
    how, *arguments = sys.argv[1:] or [""]
    if how.startswith(("--one", "--quick", "--repeat=")):
        row = (
            examine(arguments[0]) if how == "--one"
            else examine(arguments[0], 3, False) if how == "--quick"
            else flakes(arguments[0], int(how.partition("=")[2]))
        )
        print(json.dumps(dataclasses.asdict(row)))
        return
    repeats = int(arguments.pop(0)) if how == "--repeat" else 0
    if how[:2] != "--":
        arguments = [how, *arguments] if how else []
    names = [find(name).name for name in arguments] or [one.name for one in exercises()]
    if how == "--times":
        times(names)
    elif how == "--repeat":
        sys.exit(not repeated(names, repeats))
    else:
        check(names)


def check(names: list[str]) -> None:
    """Print the table and what is wrong; ends the program with 1 for a fault."""
    rows: list[Row] = []
    print(f"{HEAD}\n|---|---|---|---|---|---|---|---|")
    with ThreadPoolExecutor(2) as pool:
        for row in pool.map(apart, names):
            rows.append(row)
            print(shown(row), flush=True)
    order = [one.name for one in exercises()]
    for one in exercises():
        late = [name for name in one.after if order.index(name) >= order.index(one.name)]
        if late:
            rows[0].faults.append(f"{one.name} builds on {late}, which come later")
    print()
    for row in rows:
        reasons = {line: reason(row.name, line) for line in row.survivors}
        for fault in row.faults:
            print(f"{row.name}: {fault}")
        for line, why in reasons.items():
            print(f"{row.name}: lives on: {line}\n    {why or 'NO REASON KNOWN'}")
            row.faults += [line] * (not why)
    made, dead = sum(row.generated for row in rows), sum(row.dead for row in rows)
    mistakes = sum(row.mistakes for row in rows)
    print(
        f"{len(rows)} exercises; hand-made {sum(r.killed for r in rows)}/{mistakes} killed, "
        f"{sum(r.named for r in rows)}/{mistakes} named; generated {dead}/{made} killed"
    )
    sys.exit(any(row.faults for row in rows))


if __name__ == "__main__":
    main()
