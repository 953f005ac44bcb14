"""A run's folder: everything that training leaves behind, and how to open it again.

    run/
        config.json        what was asked for (config.py), vocabulary size filled in
        tokenizer.json     how its text became ids
        metrics.jsonl      every step (metrics.py)
        log.txt            what happened, with the time of day
        report.html        the curves; opens in any browser, offline
        samples.jsonl      what the model wrote along the way
        checkpoints/step-00001000/   weights and state (checkpoint.py)

    run = Run.open("run")
    model = run.load_model()

Read next: checkpoint.py, metrics.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tinygpt import tokenizer as tokenizers
from tinygpt.config import Config, ConfigError, from_dict
from tinygpt.errors import UserError
from tinygpt.model import GPT
from tinygpt.runs import checkpoint as checkpoints
from tinygpt.runs.checkpoint import Checkpoint, CheckpointError
from tinygpt.storage.durable import replace_file


class Run:
    """A run folder that exists.  path, config, tokenizer."""

    def __init__(self, path: Path, config: Config, tokenizer: Any):
        self.path, self.config, self.tokenizer = path, config, tokenizer

    @classmethod
    def create(cls, path: str | Path, config: Config, tokenizer: Any) -> Run:
        """Make a new run folder.

        Raises UserError if it holds a run already or cannot be written.
        """
        path = Path(path)
        check_is_free(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            tokenizer.save(path / "tokenizer.json")
            run = cls(path, config, tokenizer)
            run.write_config(config)
        except OSError as error:
            raise UserError(_refused(path, error)) from error
        return run

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Open a run folder.

        Raises UserError if it is not one or its files are damaged.
        """
        path = Path(path)
        if not (path / "config.json").is_file():
            what = "is not a run folder: it has no config.json" if path.exists() else "is missing"
            raise UserError(f"{path} {what}. Give the --out folder of a `tinygpt train`.")
        try:
            config = from_dict(json.loads((path / "config.json").read_text(encoding="utf-8")))
            tokenizer = tokenizers.load(path / "tokenizer.json")
        except (OSError, ValueError, KeyError, ConfigError) as error:
            raise UserError(
                f"{path} is a damaged run folder: {error}. Its checkpoints are untouched; copy "
                "config.json and tokenizer.json from a run with the same settings."
            ) from error
        return cls(path, config, tokenizer)

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    def write_config(self, config: Config) -> None:
        """Make `config` the run's.  Raises UserError if it cannot be written."""
        text = json.dumps(config.to_dict(), indent=2) + "\n"
        try:
            replace_file(self.path / "config.json", text)
        except OSError as error:
            raise UserError(_refused(self.path, error)) from error
        self.config = config

    def newest_good(self, warn=None, before: int | None = None) -> Checkpoint | None:
        """The newest checkpoint (of a step below `before`) whose checksums hold, or None.

        warn: hears about damaged ones.
        """
        return checkpoints.newest_good(self.checkpoints, warn, before)

    def find(self, which: str | int = "last", warn=None) -> Checkpoint:
        """A verified checkpoint: "last", "best" (lowest validation loss) or a step.

        Raises UserError if there is none, CheckpointError if the one asked for is damaged.
        """
        newest = self.newest_good(warn)
        if newest is None:
            damaged = bool(checkpoints.listed(self.checkpoints))
            state = "no undamaged checkpoint" if damaged else "no checkpoint yet"
            raise UserError(f"{self.path} has {state}. Train it with `tinygpt train --resume`.")
        if which == "last":
            return newest
        step = newest.state()["train"]["best_step"] if which == "best" else int(which)
        for found in checkpoints.listed(self.checkpoints):
            if found.step == step:
                checkpoints.verify(found)
                return found
        steps = ", ".join(str(found.step) for found in checkpoints.listed(self.checkpoints))
        raise UserError(f"{self.path} has no checkpoint of step {step}. It has: {steps}.")

    def load_model(self, which: str | int = "last", warn=None) -> GPT:
        """The trained model, ready to generate (dropout off).  Raises as `find` and `fill`."""
        model = GPT(self.config.model, np.random.default_rng(0))
        found = self.find(which, warn)
        fill(model.state_dict(), found.tensors("model"), str(found.path))
        model.eval()
        return model


def check_is_free(path: Path) -> None:
    """Raise UserError if `path` holds a run."""
    if (path / "config.json").exists():
        raise UserError(
            f"{path} already holds a run. Go on with it by --resume, or choose another --out."
        )


def fill(target: dict[str, np.ndarray], tensors: Iterable, source: str) -> None:
    """Copy named arrays into the arrays of `target`, in place; both must have the same names.

    Raises CheckpointError naming the first tensor that is missing, extra or of another shape.
    """
    missing = set(target)
    for name, array in tensors:
        if name not in target:
            raise CheckpointError(f"{source} holds {name!r}, which this model lacks. {_OTHER}")
        if target[name].shape != array.shape:
            raise CheckpointError(
                f"{source}: {name} has shape {array.shape}, the model's has "
                f"{target[name].shape}. {_OTHER}"
            )
        target[name][...] = array
        missing.discard(name)
    if missing:
        raise CheckpointError(f"{source} lacks {min(missing)!r}. {_OTHER}")


def _refused(path: Path, error: OSError) -> str:
    return (
        f"cannot write to {path}: {error.strerror or error}. Nothing there was changed; free some "
        "space, allow writing, or choose another folder with --out."
    )


_OTHER = "It belongs to a model of another shape: use the config.json it was trained with."
