"""A folder of a world: a text to learn from, and what to ask whoever has learned it.

    text.txt        what tinygpt train --data reads: the folder's only text
    facts.jsonl     questions in the form of ../../evaluation/questions.py
    reading.jsonl   as many as were asked for
    template.json   how the text puts a question, for tinygpt evaluate --template

Read next: ../../cli/world.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tinygpt.errors import UsageError
from tinygpt.storage.durable import replace_file, replacing
from tinygpt.storage.paths import shown
from tinygpt.text.worlds.file import World
from tinygpt.text.worlds.state import Asked
from tinygpt.text.worlds.telling import Telling


class Made(NamedTuple):
    """text: bytes.  statements: lasting facts told.  facts, reading: questions, 0 for no file."""

    text: int
    statements: int
    facts: int
    reading: int


def make(
    world: World, out: str | Path, size: int, questions: int, seed: int = 0,
    progress: Callable[[str, float, float], object] = lambda what, done, total: None,
) -> Made:
    """Write the folder `out`.

    size: of the text, bytes.  questions: of reading.  progress: told (what, done, of how much).
    Raises UsageError if something is there.
    """
    out = Path(out)
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"{shown(out)} is not empty. Name a folder that is new.")
    telling = Telling(world, seed)
    progress("asking", 0, 0)
    reading = telling.reading(questions)  # before anything is written: it may be refused
    out.mkdir(parents=True, exist_ok=True)
    with replacing(out / "text.txt") as file:
        for paragraph in telling.text(size):
            file.write(f"{paragraph}\n\n".encode())
            progress("telling", file.size, size)
    _write(out / "facts.jsonl", telling.facts(), seed)
    _write(out / "reading.jsonl", reading, seed)
    template = {"ask": "{question}", "answer": f"{world.between}{{choice}}", "before": "\n\n"}
    replace_file(out / "template.json", json.dumps(template) + "\n")
    return Made(file.size, len(telling.statements), len(telling.facts()), len(reading))


def _write(path: Path, questions: Sequence[Asked], seed: int) -> None:
    """Lines of JSON; the right answer stands now here, now there."""
    lines = []
    for number, one in enumerate(questions, 1):
        at = (number + seed) % (1 + len(one.others))
        choices = [*one.others[:at], one.answer, *one.others[at:]]
        lines.append(json.dumps(
            {"id": f"{path.stem} {number}", "question": one.ask, "choices": choices, "answer": at},
            ensure_ascii=False,
        ))
    if lines:
        replace_file(path, "\n".join(lines) + "\n")
