"""The learner's own folder: one file for each exercise that was begun, and one for where she is.

    softmax.py          hers; never overwritten, not by another version either
    softmax.py.1        what `reset` moved aside
    progress.json       which were begun, tried, shown and passed
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tinygpt.course import cut, hunting, predicting
from tinygpt.course.exercise import Exercise
from tinygpt.errors import UserError
from tinygpt.machine.terminal import command
from tinygpt.storage.durable import replace_file
from tinygpt.storage.paths import check_folder, kind, shown
from tinygpt.storage.reading import COUNT, TEXT, FormatError, check

STATE = "progress.json"
FORM = {"version": COUNT, "current": TEXT, "exercises": {str: {
    "begun": TEXT, "tries": COUNT, "hints": COUNT, "shown": COUNT, "passed": TEXT}}}
EMPTY = {"version": 1, "current": "", "exercises": {}}


class Folder:
    """A learner's folder; made when the first exercise is begun.

    state: {"version", "current": name, "exercises": {name: {...}}}.
    Raises UserError for a folder that cannot be used, or a progress.json that is none.
    """

    def __init__(self, path: Path):
        check_folder(path)
        self.path = path
        self.state = self._read()

    def _read(self) -> dict[str, Any]:
        path = self.path / STATE
        if not kind(path):
            return json.loads(json.dumps(EMPTY))  # a copy all the way down
        try:
            found: dict[str, Any] = check(json.loads(path.read_text(encoding="utf-8")), FORM)
            return found
        except (OSError, ValueError, FormatError) as error:
            raise UserError(
                f"{shown(path)} cannot be read: it {error}. Move it away; your exercises are in "
                "files of their own and stay."
            ) from error

    def _write(self) -> None:
        self._try(lambda: replace_file(
            self.path / STATE, json.dumps(self.state, indent=1, sort_keys=True) + "\n"))

    def _try(self, write: Any) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write()
        except OSError as error:
            raise UserError(
                f"cannot write in {shown(self.path)} ({error.strerror}). Choose a folder of your "
                "own with --folder."
            ) from error

    def file(self, exercise: Exercise) -> Path:
        return self.path / exercise.file

    def of(self, exercise: Exercise) -> dict[str, Any]:
        """What is known of an exercise; a new entry if nothing is."""
        fresh = {"begun": "", "tries": 0, "hints": 0, "shown": 0, "passed": ""}
        entry: dict[str, Any] = self.state["exercises"].setdefault(exercise.name, fresh)
        return entry

    def passed(self) -> set[str]:
        """Names of exercises that were green once."""
        return {name for name, one in self.state["exercises"].items() if one["passed"]}

    def start(self, exercise: Exercise) -> Path:
        """Write the file to begin with.  Raises UserError if there is one."""
        path = self.file(exercise)
        if kind(path):
            raise UserError(
                f"{shown(path)} is there already, and is yours. Go on in it and say "
                f"`{command('learn', 'check', exercise.name)}`, or begin anew with `learn reset`."
            )
        self._begin(exercise)
        return path

    def _begin(self, exercise: Exercise) -> None:
        text = begun(exercise).encode()

        def write() -> None:
            with open(self.file(exercise), "xb") as file:  # never over what is there
                file.write(text)

        self._try(write)
        self.of(exercise)["begun"] = self.of(exercise)["begun"] or _now()
        self.state["current"] = exercise.name
        self._write()

    def reset(self, exercise: Exercise) -> Path | None:
        """Begin anew; returns where the old file lies now, None if there was none."""
        path, aside = self.file(exercise), None
        if kind(path):
            number = 1
            while kind(path.with_name(f"{path.name}.{number}")):
                number += 1
            aside = path.with_name(f"{path.name}.{number}")
            self._try(lambda: path.rename(aside))
        self._begin(exercise)
        return aside

    def tried(self, exercise: Exercise, green: bool) -> bool:
        """Count a check; returns whether it is the first that was green."""
        entry = self.of(exercise)
        entry["tries"] += 1
        first = green and not entry["passed"]
        if first:
            entry["passed"] = _now()
        self.state["current"] = exercise.name
        self._write()
        return first

    def hint(self, exercise: Exercise) -> int:
        """Count a hint; returns its number, from 0; the last one again where there are no more."""
        entry = self.of(exercise)
        number = min(entry["hints"], len(exercise.hints) - 1)
        entry["hints"] = number + 1
        self._write()
        return number

    def show(self, exercise: Exercise) -> None:
        """Remember that the solution was shown."""
        self.of(exercise)["shown"] += 1
        self._write()


def begun(exercise: Exercise) -> str:
    """What an exercise's file begins with."""
    if exercise.kind == "hunt":
        return hunting.stub(exercise)
    return predicting.stub(exercise) if exercise.kind == "predict" else cut.stub(exercise)


def solution(exercise: Exercise) -> str:
    """What `show` shows: the real function, the answers, or what a hunter should look for."""
    if exercise.kind == "predict":
        return "\n".join(predicting.right(one) for one in exercise.questions)
    if exercise.kind == "hunt":
        return "\n".join(f"{one.name}: {one.why}" for one in exercise.mistakes)
    return cut.text_of(exercise.module, exercise.function)


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M")
