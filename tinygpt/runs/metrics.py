"""metrics.jsonl: one JSON object a line, everything a run reported, in order.

Three kinds of line, told apart by their keys:

    {"step": 1, "tokens": 768, "loss": 4.2, "lr": 1e-05, "grad_norm": 1.3,
     "tokens_per_second": 51000.0, "rss_bytes": 98000000, "seconds": 0.015}    one step
    {"step": 250, "val_loss": 2.1, ...}                                        an evaluation
    {"step": 251, "event": "skip", "text": "..."}                              something happened

`val_loss` is merged into its step's line. After a kill the file may end in half a line and may be
ahead of the checkpoint: `rewind` cuts both off, so a resumed run's file reads like an undisturbed
one's. A line that is not of the form LINE is no line: whoever reads by `read` needs no second look.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinygpt.errors import UserError
from tinygpt.storage.durable import AppendLog, replace_file
from tinygpt.storage.reading import COUNT, NUMBER, TEXT, FormatError, optional, read_lines

COLUMNS = (
    "step", "tokens", "loss", "val_loss", "lr", "grad_norm", "tokens_per_second", "rss_bytes",
    "seconds", "skipped", "event", "text",
)

MEASURED = optional(NUMBER)  # null: it was not finite
LINE = {
    "step": COUNT, "event?": TEXT, "text?": TEXT, "skipped?": TEXT, "tokens?": COUNT,
    "rss_bytes?": COUNT, str: MEASURED,
}

Warn = Callable[[str], object]


@dataclass(frozen=True)
class StepMetrics:
    """One optimizer step.

    loss: mean over the step's batches (in pretraining nats per token).  lr: rate used.
    grad_norm: global L2 norm before clipping.  tokens: seen since the run began.
    seconds: of this step.  rss_bytes: resident memory after it.
    skipped: why the update was not made, or None.  logged: what else the objective measured.
    """

    step: int
    tokens: int
    loss: float
    lr: float
    grad_norm: float
    tokens_per_second: float
    rss_bytes: int
    seconds: float
    skipped: str | None = None
    logged: Mapping[str, float] = field(default_factory=dict)


class MetricsLog:
    """Writes metrics.jsonl; a disk that refuses is warned about and training goes on."""

    def __init__(self, path: Path, warn: Warn):
        self.path = path
        self._log = AppendLog(path, warn)

    def step(self, metrics: StepMetrics, val_loss: float | None = None) -> None:
        """One line for a step, with the validation loss if it was measured after it."""
        values = {k: v for k, v in vars(metrics).items() if v is not None and k != "logged"}
        values.update(metrics.logged)
        if val_loss is not None:
            values["val_loss"] = val_loss
        self._write(values)

    def event(self, step: int, event: str, text: str) -> None:
        """One line for something that happened: skip, rollback, pause, resume, warning ..."""
        self._write({"step": step, "event": event, "text": text})

    def _write(self, values: dict[str, Any]) -> None:
        clean = {k: _rounded(v) if isinstance(v, float) else v for k, v in values.items()}
        self._log.line(json.dumps(clean))


def rewind(path: Path, step: int, warn: Warn | None = None) -> None:
    """Forget all lines after `step` and any damaged ones.  Raises OSError, UserError as `read`."""
    if path.exists():
        kept = [json.dumps(values) for values in read(path, warn) if values["step"] <= step]
        replace_file(path, "".join(line + "\n" for line in kept))


def _rounded(value: float) -> float | None:
    """Nine digits name a float32 exactly; JSON has no word for nan and infinity but null."""
    return float(f"{value:.9g}") if math.isfinite(value) else None


def read(path: Path, warn: Warn | None = None) -> Iterator[dict[str, Any]]:
    """The whole lines of a metrics file, oldest first; none where there is no file yet.

    warn: told of damaged lines, which are left out; half a line at the end is a killed process's.
    Raises UserError for a file that cannot be read.
    """
    try:
        yield from read_lines(path, LINE, warn or (lambda text: None))
    except FormatError as error:
        raise UserError(
            f"{path} {error}. Move it out of the run: all but the curves works without."
        ) from error


def logged_by_objective(values: Mapping[str, Any]) -> dict[str, float]:
    """The numbers in a line that only the run's objective knows."""
    return {k: v for k, v in values.items() if k not in COLUMNS and v is not None}


def write_csv(path: Path, target: str | Path) -> int:
    """Copy metrics.jsonl to a table with one column per key.  Returns the number of rows.

    Raises UserError if `target` cannot be written, and as `read`.
    """
    rows = 0
    logged = sorted({name for values in read(path) for name in logged_by_objective(values)})
    try:
        with open(target, "w", encoding="utf-8", errors="replace", newline="") as file:
            table = csv.DictWriter(file, (*COLUMNS, *logged), extrasaction="ignore")
            table.writeheader()
            for values in read(path):
                table.writerow(values)
                rows += 1
    except OSError as error:
        raise UserError(
            f"cannot write {target}: {error.strerror or error}. Choose another place."
        ) from error
    return rows
