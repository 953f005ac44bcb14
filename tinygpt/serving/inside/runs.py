"""A training as it goes on: what its files say, as events; and its start and stop from a page.

The training is a process of its own, whoever started it; watching it is reading the ends of two
files and the names in one folder, a few times a second, and so costs it nothing.

    event: steps         curves so far or new points of them, {"step": [...], "loss": [...], ...}
    event: samples       what the model wrote meanwhile
    event: checkpoints   the steps that can be looked at
    event: state         whether it is running

Read next: routes.py.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinygpt.errors import UserError
from tinygpt.runs.lock import sole_writer
from tinygpt.runs.metrics import LINE
from tinygpt.serving.inside.models import steps_in
from tinygpt.storage.reading import COUNT, TEXT, FormatError, parse_json

CURVES = ("loss", "val_loss", "lr", "grad_norm", "tokens_per_second")
POINTS = 600  # of a curve that began before somebody looked
SAMPLES = 12
SAMPLE = {"step": COUNT, "text": TEXT}


class Tail:
    """The whole lines that a growing file gained since the last look.

    A file that became shorter (a run that went back) is read anew: `anew` says so.
    """

    def __init__(self, path: Path, form: Any):
        self._path, self._form = path, form
        self._at, self.anew = 0, True

    def read(self) -> list[dict[str, Any]]:
        """New lines, oldest first; damaged ones are left out."""
        self.anew = False
        try:
            size = self._path.stat().st_size
            if size < self._at:
                self._at, self.anew = 0, True
            if size == self._at:
                return []
            with self._path.open("rb") as file:
                file.seek(self._at)
                data = file.read(size - self._at)
        except OSError:
            return []
        whole, _, _ = data.rpartition(b"\n")
        self._at += len(whole) + 1 if whole else 0
        found = []
        for line in whole.splitlines():
            try:
                found.append(parse_json(line, self._form))
            except FormatError:
                continue
        return found


class Watched:
    """What happens in a run's folder.  `news` is called again and again."""

    def __init__(self, folder: Path, running: Callable[[], bool]):
        self._folder, self._running = folder, running
        self._metrics = Tail(folder / "metrics.jsonl", LINE)
        self._samples = Tail(folder / "samples.jsonl", SAMPLE)
        self._steps: list[int] | None = None
        self._state: bool | None = None

    def news(self) -> list[tuple[str, Any]]:
        """(event, value) of all that is new; at first all there is, thinned."""
        found: list[tuple[str, Any]] = []
        lines = [line for line in self._metrics.read() if "event" not in line]
        if self._metrics.anew:
            found.append(("anew", None))
        if lines:
            found.append(("steps", curves(lines)))
        if samples := self._samples.read()[-SAMPLES:]:
            found.append(("samples", samples))
        steps = steps_in(self._folder)
        if steps != self._steps:
            self._steps = steps
            found.append(("checkpoints", steps))
        if (state := self._running()) != self._state:
            self._state = state
            found.append(("state", {"running": state}))
        return found


def curves(lines: list[dict[str, Any]]) -> dict[str, list[float | None]]:
    """Lines of metrics.jsonl as one list a curve; of many lines every so many, evaluations all."""
    stride = max(1, len(lines) // POINTS)
    kept = [
        line for i, line in enumerate(lines)
        if line.get("val_loss") is not None or (len(lines) - 1 - i) % stride == 0
    ]
    found: dict[str, list[float | None]] = {"step": [line["step"] for line in kept]}
    for name in CURVES:
        found[name] = [line.get(name) for line in kept]
    return found


class Trainings:
    """Trainings that were started from a page, by their folders."""

    def __init__(self) -> None:
        self._processes: dict[Path, subprocess.Popen[bytes]] = {}

    def running(self, folder: Path) -> bool:
        """Whether somebody trains in a folder, from here or elsewhere."""
        try:
            with sole_writer(folder):
                return False
        except UserError:
            return folder.is_dir()

    def resume(self, folder: Path) -> None:
        """Go on with a run in a process of its own.  Raises UserError for one under way."""
        if self.running(folder):
            raise UserError(f"a training of {folder.name} is under way. Stop it first.")
        words = [sys.executable, "-m", "tinygpt", "train", "--out", str(folder), "--resume"]
        self._processes[folder] = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )

    def stop(self, folder: Path) -> None:
        """Have a training that was started here save and end.  Raises UserError for others."""
        process = self._processes.get(folder)
        if process is None or process.poll() is not None:
            raise UserError(
                f"no training of {folder.name} was started from this page. Stop it where it was "
                "started, with Ctrl-C."
            )
        process.send_signal(signal.SIGTERM)  # SIGINT is ignored below `nohup` and `&`

    def end(self) -> None:
        """Stop all, and wait until they have saved."""
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes.values():
            process.wait()
