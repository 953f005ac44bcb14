"""Evaluation while a model trains: a suite at every evaluation, its curve in the report.

    Trainer(session, [SuiteCurve("addition")]).run()

Held-out loss falls smoothly while a task is learned in a jump, or not at all: the curve shows it.
Lines go to evaluations/curve.jsonl of the run, where ../screens/report.py finds them. Training is
the same to the bit with it and without: asking draws nothing from the run's random numbers.

Read first: suites/__init__.py, ../training/watch.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tinygpt.errors import UserError
from tinygpt.evaluation.subject import Local
from tinygpt.evaluation.suite import Suite, evaluate
from tinygpt.evaluation.suites import Asked, find_suite
from tinygpt.evaluation.tables import rows
from tinygpt.machine.energy import Meter
from tinygpt.runs.metrics import MetricsLog, StepMetrics
from tinygpt.screens.report import CURVE_LINE, SUITE_CURVE
from tinygpt.storage.durable import AppendLog, replace_file
from tinygpt.storage.reading import read_lines
from tinygpt.training.watch import Warn, Watcher

if TYPE_CHECKING:
    from tinygpt.training.session import Session


class SuiteCurve(Watcher):
    """Asks a suite of small size whenever the held-out loss is measured."""

    def __init__(self, name: str, warn: Warn):
        self._name, self._warn = name, warn

    def start(self, session: Session) -> None:
        self._session = session
        path = session.run.path / SUITE_CURVE
        path.parent.mkdir(exist_ok=True)
        kept = [
            line for line in read_lines(path, CURVE_LINE, self._warn)
            if line["step"] <= session.state.step
        ]
        replace_file(path, "".join(f"{json.dumps(line)}\n" for line in kept))
        self._log = AppendLog(path, self._warn)
        self._suite: Suite = find_suite(self._name, Asked(str(session.run.path), size="small"))

    def step(self, metrics: StepMetrics, val_loss: float | None) -> None:
        if val_loss is None:
            return
        session = self._session
        try:
            subject = Local(session.model, session.run.tokenizer)
            first = rows(evaluate(self._suite, subject))[0]
        except UserError as error:  # a model that says nothing yet has no number yet
            self._warn(f"step {metrics.step}: {error}")
            return
        value, low, high = (one if one == one else None for one in first.found[:3])
        self._log.line(json.dumps({
            "step": metrics.step, "suite": self._suite.name, "name": first.name, "value": value,
            "low": low, "high": high,
        }))


class EnergyLine(Watcher):
    """What a training took, as one event in metrics.jsonl at its end, where the machine tells."""

    def start(self, session: Session) -> None:
        self._meter, self._session = Meter.find(), session

    def step(self, metrics: StepMetrics, val_loss: float | None) -> None:
        if self._meter is not None:
            self._meter.joules()  # before its counter comes round

    def close(self) -> None:
        if self._meter is not None:
            path: Path = self._session.run.path / "metrics.jsonl"
            log = MetricsLog(path, lambda text: None)
            log.event(self._session.state.step, "energy", f"{self._meter.joules():.0f} J")
