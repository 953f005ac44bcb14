"""Who looks on while a model trains: the screen, the log file, metrics.jsonl, the report ...

A watcher is told what happens and changes nothing. trainer.py calls all of them in turn, so the
loop knows no display and a caller (quickstart, a notebook) adds its own by passing one more.

Read next: ../screens/live.py (the screen), ../runs/metrics.py (the file).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tinygpt.errors import UserError
from tinygpt.runs.history import forget, keep
from tinygpt.runs.metrics import MetricsLog, StepMetrics, rewind
from tinygpt.storage.durable import AppendLog
from tinygpt.training.arrays import trained_arrays

if TYPE_CHECKING:
    from tinygpt.training.session import Session


Warn = Callable[[str], object]  # hears of a disk that refuses


class Watcher:
    """Base of all watchers: hears everything, does nothing."""

    def start(self, session: Session) -> None:
        """Training is about to begin, or to go on from `session.state.step`."""

    def step(self, metrics: StepMetrics, val_loss: float | None) -> None:
        """A step was made; val_loss (nats per token) if it was measured after it."""

    def sample(self, step: int, text: str) -> None:
        """The model wrote something."""

    def event(self, step: int, kind: str, text: str) -> None:
        """Something worth a sentence; kind is one word: skip, rollback, pause, warning ..."""

    def busy(self, text: str) -> None:
        """What the time until the next step goes to: measuring, saving."""

    def stopping(self, text: str) -> None:
        """A signal asks to save and stop.  Called from its handler: say so and do no more."""

    def close(self) -> None:
        """Training is over, for whatever reason."""


class MetricsFile(Watcher):
    """Everything but samples into metrics.jsonl."""

    def __init__(self, path: Path, warn: Warn):
        self.path, self._log, self._warn = path, MetricsLog(path, warn), warn

    def start(self, session: Session) -> None:
        _rewind(self.path, session, self._warn)

    def step(self, metrics: StepMetrics, val_loss: float | None) -> None:
        self._log.step(metrics, val_loss)

    def event(self, step: int, kind: str, text: str) -> None:
        self._log.event(step, kind, text)


class SamplesFile(Watcher):
    """What the model writes along the way into samples.jsonl: {"step": ..., "text": ...}."""

    def __init__(self, path: Path, warn: Warn):
        self.path, self._log, self._warn = path, AppendLog(path, warn), warn

    def start(self, session: Session) -> None:
        _rewind(self.path, session, self._warn)

    def sample(self, step: int, text: str) -> None:
        self._log.line(json.dumps({"step": step, "text": text}))


class HistoryFiles(Watcher):
    """The model's weights every so many steps, to be looked at later (../runs/history.py).

    A disk that refuses is warned about once, and training goes on.
    """

    def __init__(self, run: Path, every: int, warn: Warn):
        self._run, self._every, self._warn = run, every, warn

    def start(self, session: Session) -> None:
        self._session = session
        forget(self._run, after=session.state.step)
        if session.state.step == 0:
            self._keep(0)

    def step(self, metrics: StepMetrics, val_loss: float | None) -> None:
        if metrics.step % self._every == 0:
            self._keep(metrics.step)

    def _keep(self, step: int) -> None:
        try:
            keep(self._run, step, trained_arrays(self._session.model))
        except OSError as error:
            self._warn(f"cannot keep the weights of step {step} to look at: {error.strerror}")
            self._warn = lambda text: None


class LogFile(Watcher):
    """log.txt: what the screen says, with the time of day, for a run that nobody looks at."""

    def __init__(self, path: Path, warn: Warn, every: int = 100):
        self._log = AppendLog(path, warn)
        self._every = every

    def start(self, session: Session) -> None:
        self._session = session
        steps = session.config.training.steps
        self._say(f"training starts at step {session.state.step} of {steps}")

    def step(self, metrics: StepMetrics, val_loss: float | None) -> None:
        if val_loss is not None or metrics.step % self._every == 0:
            steps = self._session.config.training.steps
            self._say(describe(metrics, steps, val_loss))

    def sample(self, step: int, text: str) -> None:
        self._say(f"sample at step {step}:\n{text}")

    def event(self, step: int, kind: str, text: str) -> None:
        self._say(f"step {step}: {text}")

    def close(self) -> None:
        self._say("training ends")

    def _say(self, text: str) -> None:
        self._log.line(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {text}")


def _rewind(path: Path, session: Session, warn: Warn) -> None:
    """Bring a log back to the step that training goes on from."""
    try:
        rewind(path, session.state.step, warn)
    except OSError as error:
        raise UserError(
            f"cannot write to {path.parent} ({error.strerror}). Nothing there was touched; free "
            "some space or allow writing, then --resume."
        ) from error


def describe(metrics: StepMetrics, steps: int, val_loss: float | None = None) -> str:
    """One step as one plain line."""
    held_out = f"  val {val_loss:.4f}" if val_loss is not None else ""
    return (
        f"step {metrics.step:>{len(str(steps))}}/{steps}  loss {metrics.loss:.4f}{held_out}  "
        f"lr {metrics.lr:.2e}  {metrics.tokens_per_second:,.0f} tokens/s  "
        f"{metrics.rss_bytes / 2**20:.0f} MB"
    )
