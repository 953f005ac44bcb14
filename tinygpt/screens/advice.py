"""Advice as a line that runs: the program as it was called, the run's own settings, paths quoted.

    again(run, {"training.lr": 1e-3})
        tinygpt train S --data my.txt --set training.lr=0.001 --out run-2

Read next: ../machine/terminal.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinygpt.config import ConfigError, changes, from_dict, load_config, shipped
from tinygpt.diagnosis.verdict import Action
from tinygpt.machine.terminal import command
from tinygpt.runs.run import Run

FOUND = ("data.source", "model.vocab_size")  # said by --data, found in the text


def resume(path: Path, settings: Mapping[str, Any] | None = None) -> str:
    """The command that goes on with a run."""
    return command("train", "--out", path, "--resume", *_set(settings or {}))


def generate(path: Path, *options: str) -> str:
    """The command that lets a run's model write."""
    return command("generate", path, *options)


def again(run: Run, settings: Mapping[str, Any]) -> str | None:
    """The command that trains anew as `run` was trained, but for `settings`; None if only a file
    of settings can say it."""
    out = free_name(run.path)
    if run.config.objective == "finetuning" and run.config.base is not None:
        return _taught_again(run, settings, out)
    if run.config.base is not None or not {"model", "data"} <= set(run.config.to_dict()):
        return None
    known = [found for name in shipped() if (found := _differences(name, run)) is not None]
    if not known:
        return None
    name, differing = min(known, key=lambda pair: len(pair[1]))
    changed = {**differing, **settings}
    return command("train", name, "--data", _source(run), *_set(changed), "--out", out)


def _taught_again(run: Run, settings: Mapping[str, Any], out: Path) -> str:
    """As `again`: the base decides [model] and [tokenizer], and the rates are always said."""
    config, method = run.config, run.config.method.name
    plain = from_dict({"objective": "finetuning", "base": config.base, "method": {"name": method}})
    decided = ("model.", "tokenizer.", "data.source", "data.epochs")
    rates = {f"training.{name}": getattr(config.training, name) for name in ("lr", "min_lr")}
    differing = {c.key: c.new for c in changes(plain, config) if not c.key.startswith(decided)}
    changed = {**rates, "training.steps": config.training.steps, **differing, **settings}
    return command(
        "finetune", Path(config.base), "--data", _source(run), "--method", method,
        *_set(changed), "--out", out,
    )


def free_name(path: Path) -> Path:
    """`path` with a number behind it that nothing has yet: run -> run-2."""
    numbered = (path.with_name(f"{path.name}-{i}") for i in itertools.count(2))
    return next(name for name in numbered if not name.exists())


def line_of(action: Action, run: Run) -> str | None:
    """The command that does what a verdict advises, None where it advises none."""
    if action.what == "resume":
        return resume(run.path, action.settings)
    if action.what == "again":
        return again(run, action.settings)
    if action.what == "generate":
        options = [word for name, v in action.settings.items() for word in (name, str(v))]
        return generate(run.path, *options)
    return None


def _differences(name: str, run: Run) -> tuple[str, dict[str, Any]] | None:
    """(name, settings that make of that shipped configuration the run's own), None if none do.

    A family fills in what is not said, and an assembly may decide what is learned: they come first.
    """
    shape, plain = run.config.model, load_config(name)
    first = {
        f"model.{key}": getattr(shape, key) for key in ("family", "assembly")
        if getattr(shape, key) != getattr(plain.model, key)
    }
    try:
        there = load_config(name, [f"{key}={value}" for key, value in first.items()])
    except ConfigError:  # it learns by an objective that has no such models
        return None
    if there.objective != run.config.objective:
        return None
    rest = {c.key: c.new for c in changes(there, run.config) if c.key not in FOUND}
    return name, first | rest


def _source(run: Run) -> str | Path:
    source = str(run.config.data.source)
    return Path(source) if Path(source).is_absolute() else source


def _set(settings: Mapping[str, Any]) -> list[str]:
    words = []
    for key, value in settings.items():
        words += ["--set", f"{key}={_written(value)}"]
    return words


def _written(value: Any) -> str:
    """A setting as --set reads it."""
    if isinstance(value, tuple | list):
        return ",".join(map(_written, value))
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
