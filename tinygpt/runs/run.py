"""A run's folder: everything that training leaves behind, and how to open it again.

    run/
        config.json        objective and settings (config.py), vocabulary size filled in; checksums
                           of itself and of what stood beside it when the run was made
        tokenizer.json     how its text became ids
        metrics.jsonl      every step (metrics.py)
        log.txt            what happened, with the time of day
        report.html        the curves; opens in any browser, offline
        samples.jsonl      what the model wrote along the way
        checkpoints/step-00001000/   weights and state (checkpoint.py)

Read next: checkpoint.py, metrics.py, then ../weights/open.py for its model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from tinygpt import tokenizer as tokenizers
from tinygpt.config import Config, ConfigError, from_dict
from tinygpt.errors import UserError
from tinygpt.machine.terminal import command
from tinygpt.runs import checkpoint as checkpoints
from tinygpt.runs.checkpoint import Checkpoint, Warn
from tinygpt.runs.lock import sole_writer
from tinygpt.storage.durable import replace_file
from tinygpt.storage.paths import PathError, check_folder, expand, kind, shown
from tinygpt.storage.reading import (
    ANYTHING,
    TEXT,
    FormatError,
    check_signature,
    read_bytes,
    read_json,
    signed,
)
from tinygpt.tokenizer import Tokenizer

SIGNED = (  # written once, when the run is made
    "tokenizer.json", "baselines.json", "pairs.jsonl", "conversations.jsonl", "chat.json",
    "reference.json",
)
CONFIG_FILE = {"sha256?": TEXT, "files?": {str: TEXT}, str: ANYTHING}


class Run:
    """A run folder that exists.

    path, config.  files: name -> SHA-256 of those of SIGNED that it was made with.
    """

    config: Any  # of its objective's class, derived from Config

    def __init__(self, path: Path, config: Config, files: Mapping[str, str] | None = None):
        self.path, self.config, self.files = path, config, dict(files or {})

    @classmethod
    def create(cls, path: str | Path, config: Config, leave: Callable[[Path], object]) -> Run:
        """Make a new run folder.

        leave: writes into it what the objective wants kept, before config.json makes it a run.
        Raises UserError if it holds a run already or cannot be written.
        """
        path = Path(path)
        check_is_free(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            leave(path)
            run = cls(path, config, {n: _digest(path / n) for n in SIGNED if (path / n).exists()})
            run.write_config(config)
        except OSError as error:
            raise UserError(_refused(path, error)) from error
        return run

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Open a run folder.

        Raises UserError if it is not one or its configuration is damaged.
        """
        path = Path(expand(path))
        if not (path / "config.json").is_file():
            what = "is not a run folder: it has no config.json" if kind(path) else "is missing"
            raise PathError(f"{shown(path)} {what}. Give the --out folder of a `tinygpt train`.")
        try:
            values = check_signature(read_json(path / "config.json", CONFIG_FILE))
            files = values.pop("files", {})
            return cls(path, from_dict(_as_they_were(values)), files)
        except FormatError as error:
            raise UserError(_damaged(path, f"config.json {error}")) from error
        except ConfigError as error:
            raise UserError(_damaged(path, error)) from error

    def check(self, name: str) -> Path:
        """The path of one of SIGNED, as it was when the run was made (if that was noted).

        Raises UserError if it was altered or cannot be read.
        """
        path = self.path / name
        try:
            if self.files.get(name) not in (None, _digest(path)):
                raise FormatError("was altered after it was written (its checksum is another)")
        except FormatError as error:
            raise UserError(_damaged(self.path, f"{name} {error}")) from error
        return path

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """What turned its text into ids.  Raises UserError if it is missing or damaged."""
        try:
            return tokenizers.load(self.check("tokenizer.json"))
        except tokenizers.TokenizerError as error:
            raise UserError(_damaged(self.path, error)) from error

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    def write_config(self, config: Config) -> None:
        """Make `config` the run's.  Raises UserError if it cannot be written."""
        values = signed({**config.to_dict(), "files": self.files})
        text = json.dumps(values, indent=2) + "\n"
        try:
            replace_file(self.path / "config.json", text)
        except OSError as error:
            raise UserError(_refused(self.path, error)) from error
        self.config = config

    def newest_good(
        self, warn: Warn | None = None, before: int | None = None, scheduled: bool = False
    ) -> Checkpoint | None:
        """The newest checkpoint (of a step below `before`) whose checksums hold, or None.

        warn: hears about damaged ones.  scheduled: only those that the recipe asks for.
        """
        return checkpoints.newest_good(self.checkpoints, warn, before, scheduled)

    def find(self, which: str | int = "last", warn: Warn | None = None) -> Checkpoint:
        """A verified checkpoint: "last", "best" (lowest validation loss) or a step.

        Raises UserError if there is none, CheckpointError if the one asked for is damaged.
        """
        newest = self.newest_good(warn)
        if newest is None:
            damaged = bool(checkpoints.listed(self.checkpoints))
            state = "no undamaged checkpoint" if damaged else "no checkpoint yet"
            line = command("train", "--out", self.path, "--resume")
            raise UserError(f"{shown(self.path)} has {state}. Train it: {line}")
        if which == "last":
            return newest
        step = newest.state()["train"].get("best_step") if which == "best" else int(which)
        for found in checkpoints.listed(self.checkpoints):
            if found.step == step:
                checkpoints.verify(found)
                return found
        steps = ", ".join(str(found.step) for found in checkpoints.listed(self.checkpoints))
        raise UserError(f"{self.path} has no checkpoint of step {step}. It has: {steps}.")


def check_is_free(path: Path) -> None:
    """Raise UserError if `path` holds a run, or if a file is in its way."""
    check_folder(path)
    if (path / "config.json").exists():
        raise UserError(
            f"{path} already holds a run. Go on with it by --resume, or choose another --out."
        )


@contextmanager
def new_run(path: Path) -> Iterator[None]:
    """A folder in which a run can be made, with nobody else writing into it.

    Folders made for it go away again if the with block fails and leaves nothing in them.
    Raises UserError if there is a run already, or another is being made there.
    """
    check_is_free(path)
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(_refused(path, error)) from error
    try:
        with sole_writer(path):
            check_is_free(path)  # made meanwhile by whoever held the lock
            yield
    except BaseException:
        for folder in made:
            with suppress(OSError):  # it is not empty
                folder.rmdir()
        raise


def _digest(path: Path) -> str:
    """SHA-256 of a file.  Raises FormatError if it cannot be read."""
    return hashlib.sha256(read_bytes(path)).hexdigest()


def _as_they_were(values: dict[str, Any]) -> dict[str, Any]:
    """Settings of a run of before a key was there: it goes on as it has been trained."""
    training = values.get("training")
    if isinstance(training, dict):
        training.setdefault("sum_order", "turn")
    return values


def _damaged(path: Path, error: object) -> str:
    return (
        f"{path} is a damaged run folder: {error}. Its checkpoints are untouched; bring its "
        "config.json and tokenizer.json back as they were (settings are changed with `tinygpt "
        "train --resume --set KEY=VALUE`), or copy both from a run with the same settings."
    )


def _refused(path: Path, error: OSError) -> str:
    return (
        f"cannot write to {path}: {error.strerror or error}. Nothing there was changed; free some "
        "space, allow writing, or choose another folder with --out."
    )
