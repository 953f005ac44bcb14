"""Scalars for TensorBoard, written through the `tensorboard` package itself (no torch needed).

    pip install '.[tensorboard]';  tinygpt train ... --tensorboard;  tensorboard --logdir run

SCALARS gives each number that training measures its name there.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from tinygpt.errors import UserError
from tinygpt.runs import metrics as metrics_files
from tinygpt.runs.metrics import StepMetrics
from tinygpt.training.watch import Watcher

if TYPE_CHECKING:
    from tinygpt.training.session import Session

SCALARS = {
    "loss": "loss/train", "val_loss": "loss/validation", "lr": "rate", "grad_norm": "gradient_norm",
    "tokens_per_second": "tokens_per_second", "rss_bytes": "memory_bytes",
}


class EventFile:
    """One event file in a folder.  Raises UserError if tensorboard is not installed."""

    def __init__(self, folder: Path):
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError as error:
            raise UserError(
                f"TensorBoard's files need its package ({error}). Run: pip install tensorboard"
            ) from error
        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        self._writer = EventFileWriter(str(folder))

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Add one number."""
        summary = self._summary(value=[self._summary.Value(tag=tag, simple_value=value)])
        self._writer.add_event(self._event(wall_time=time.time(), step=step, summary=summary))

    def close(self) -> None:
        """Flush and close."""
        self._writer.close()


class TensorBoard(Watcher):
    """Writes scalars while training, into RUN/tensorboard."""

    def start(self, session: Session) -> None:
        self._file = EventFile(session.run.path / "tensorboard")

    def step(self, metrics: StepMetrics, val_loss: float | None) -> None:
        for name, tag in SCALARS.items():
            value = val_loss if name == "val_loss" else getattr(metrics, name)
            if value is not None:
                self._file.scalar(tag, value, metrics.step)
        for name, value in metrics.logged.items():
            self._file.scalar(f"objective/{name}", value, metrics.step)

    def close(self) -> None:
        self._file.close()


def write_events(metrics: Path, folder: Path) -> int:
    """Turn metrics.jsonl into an event file.  Returns the number of scalars."""
    file, count = EventFile(folder), 0
    for values in metrics_files.read(metrics):
        for name, tag in SCALARS.items():
            if values.get(name) is not None:
                file.scalar(tag, values[name], values["step"])
                count += 1
        for name, value in metrics_files.logged_by_objective(values).items():
            file.scalar(f"objective/{name}", value, values["step"])
            count += 1
    file.close()
    return count
