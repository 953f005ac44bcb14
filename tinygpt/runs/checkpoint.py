"""Checkpoints that are either whole or not there.

    checkpoints/step-00001000/
        model.safetensors      weights
        optimizer.safetensors  the optimizer's moments
        state.json             step, RNG streams, place in the data
        manifest.json          size and SHA-256 of the others and of itself; written last

A checkpoint is written into a folder with another name, every file is flushed to the disk, the
manifest comes last, then one rename makes it appear. So a process killed at any moment leaves the
old checkpoints as they were and at most a folder that the next save removes. What a disk does
later (a torn sector, a flipped bit) is found by the checksums: `newest_good` skips such a
checkpoint, says which file is bad, and returns the one before.

Nothing here is ever unpickled. The tensors are streamed in the safetensors format, so saving needs
no second copy of the model in memory.

Read next: ../storage/durable.py (the writing), run.py (the folder around it).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigrad import nn
from tinygpt.errors import UserError
from tinygpt.storage import safetensors
from tinygpt.storage.durable import DurableFile, flush_folder
from tinygpt.storage.reading import (
    ANYTHING,
    COUNT,
    TEXT,
    FormatError,
    check_file,
    one_of,
    parse_json,
    read_bytes,
    read_json,
    signed,
)

FILES = ("model.safetensors", "optimizer.safetensors", "state.json")
MANIFEST = "manifest.json"
_UNFINISHED = "unfinished-"
_REPLACED = "replaced-step-"  # stands in for step-N if the process dies between the two renames


Warn = Callable[[str], object]


class CheckpointError(UserError):
    """A checkpoint that is damaged or does not fit."""


@dataclass(frozen=True)
class Checkpoint:
    """A saved step.  step: optimizer steps done; path: its folder."""

    step: int
    path: Path

    def tensors(self, name: str) -> dict[str, np.ndarray]:
        """Key -> array of "model" or "optimizer", mapped: read when they are copied."""
        file = self.path / f"{name}.safetensors"
        try:
            return safetensors.open_tensors(file).arrays
        except FormatError as error:
            raise CheckpointError(f"{file} {error}. {_TRY_ANOTHER}") from error

    def parameters(self) -> int:
        """How many values the model's weights have, by their header alone."""
        return sum(array.size for array in self.tensors("model").values())

    def copy_to(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Copy the model's weights into `arrays`, in place.

        Raises CheckpointError naming what is missing, extra or of another shape.
        """
        try:
            nn.copy_arrays(arrays, self.tensors("model"), "model")
        except (ValueError, TypeError) as error:
            raise CheckpointError(
                f"{self.path}: {error}\nIt belongs to a model of another shape: use the "
                "config.json it was trained with."
            ) from error

    def state(self) -> dict[str, Any]:
        """What state.json holds."""
        file = self.path / "state.json"
        try:
            return read_json(file, STATE)
        except FormatError as error:
            raise CheckpointError(f"{file} {error}. {_TRY_ANOTHER}") from error

    def check_data(self, identity: Mapping[str, Any]) -> None:
        """Raise UserError if data of another identity (Objective.identity) trained it."""
        before = self.state().get("data", {})
        changed = [k for k in identity if k != "tokenizer" and before.get(k) != identity[k]]
        if changed:
            words = ", ".join(f"{k} was {before.get(k)} and is {identity[k]}" for k in changed)
            raise UserError(
                f"the tokens are not those of {self.path}: {words}. Bring the text back as it "
                "was, or start a new run in another --out."
            )

    @property
    def scheduled(self) -> bool:
        """Whether the recipe asks for one at this step.

        The others, made because of the time that has passed or on a stop, are for --resume only:
        so where training goes back to after trouble does not depend on the clock.
        """
        try:
            return self.state().get("scheduled", True)
        except CheckpointError:
            return True  # damaged, which `verify` finds: here it counts as it always has


# What the trainer's state holds is its own affair (training/state.py).
STATE = {
    "train": {str: ANYTHING}, "data?": {str: ANYTHING}, "computes?": {str: ANYTHING},
    "scheduled?": one_of(True, False),
}
_SUMS = {name: {"bytes": COUNT, "sha256": TEXT} for name in FILES}
_MANIFEST_FORM = {"format": one_of(1), "step": COUNT, "files": _SUMS, "sha256": TEXT}
_TRY_ANOTHER = "Use an earlier checkpoint of the run."


def save(
    folder: Path,
    step: int,
    model: Mapping[str, np.ndarray],
    optimizer: Mapping[str, np.ndarray],
    state: dict[str, Any],
) -> Checkpoint:
    """Write a checkpoint of `step` into `folder` (the run's checkpoints/).

    model, optimizer: named arrays, any dtype safetensors knows.  state: plain values.
    Raises OSError if the disk refuses; nothing that was there before is touched then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_unfinished(folder)
    final = folder / f"step-{step:08d}"
    draft = folder / f"{_UNFINISHED}{step:08d}-{os.getpid()}"
    draft.mkdir()
    try:
        sums = {
            "model.safetensors": _write_tensors(draft / "model.safetensors", model),
            "optimizer.safetensors": _write_tensors(draft / "optimizer.safetensors", optimizer),
            "state.json": _write_bytes(draft / "state.json", json.dumps(state).encode()),
        }
        _write_bytes(draft / MANIFEST, _manifest(step, sums))
        flush_folder(draft)
        if final.exists():  # damaged, or this step was saved before: the new one takes its place
            os.rename(final, folder / f"{_REPLACED}{step:08d}")
        os.rename(draft, final)
        flush_folder(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    remove_unfinished(folder)
    return Checkpoint(step, final)


def listed(folder: Path) -> list[Checkpoint]:
    """Checkpoints of a run, newest first, good or not."""
    found: dict[int, Path] = {}
    for prefix in (_REPLACED, "step-"):  # the second wins
        for path in folder.glob(f"{prefix}*"):
            digits = path.name.removeprefix(prefix)
            if digits.isascii() and digits.isdigit() and path.is_dir():
                found[int(digits)] = path
    return [Checkpoint(step, found[step]) for step in sorted(found, reverse=True)]


def verify(checkpoint: Checkpoint) -> None:
    """Read every byte and compare with the manifest.

    Raises CheckpointError naming the file and what is wrong with it.
    """
    path = checkpoint.path / MANIFEST
    try:
        raw = read_bytes(path)
        content = parse_json(raw, _MANIFEST_FORM)
        step, sums = content["step"], content["files"]
        if raw != _manifest(step, sums):
            raise FormatError("fails its own checksum")
        if step != checkpoint.step:
            raise FormatError(f"is of step {step}")
        for name in FILES:
            path = checkpoint.path / name
            check_file(path, sums[name]["bytes"], sums[name]["sha256"])
    except FormatError as error:
        raise CheckpointError(f"{path} is damaged: it {error}") from error


def newest_good(
    folder: Path, warn: Warn | None = None, before: int | None = None, scheduled: bool = False
) -> Checkpoint | None:
    """The newest checkpoint that verifies, or None.

    before: only those of a smaller step.  scheduled: only those that are.
    warn: called with one sentence for each damaged one that is passed over.
    """
    for checkpoint in listed(folder):
        if before is not None and checkpoint.step >= before:
            continue
        try:
            verify(checkpoint)
            if checkpoint.scheduled or not scheduled:
                return checkpoint
        except CheckpointError as error:
            if warn is not None:
                warn(f"{error}; going back to the checkpoint before it")
    return None


def prune(folder: Path, keep: int, best_step: int | None) -> None:
    """Delete all but the newest `keep` scheduled checkpoints, the best one, and the newest."""
    found = listed(folder)
    kept = {best_step, *(one.step for one in found[:1])}
    kept.update([one.step for one in found if one.scheduled][:keep])
    for old in found:
        if old.step not in kept:
            doomed = folder / f"{_UNFINISHED}old-{old.path.name}"
            os.rename(old.path, doomed)  # so that a half-deleted one is never mistaken for one
            shutil.rmtree(doomed, ignore_errors=True)


def remove_unfinished(folder: Path) -> None:
    """Delete what interrupted saves left behind."""
    for path in folder.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(path, ignore_errors=True)
    for path in folder.glob(f"{_REPLACED}*"):
        if (folder / path.name.removeprefix("replaced-")).exists():
            shutil.rmtree(path, ignore_errors=True)


def _manifest(step: int, sums: Mapping[str, Mapping[str, Any]]) -> bytes:
    """The manifest's only valid bytes: its own checksum covers everything before it."""
    files = {name: {key: sums[name][key] for key in ("bytes", "sha256")} for name in sorted(FILES)}
    return json.dumps(signed({"format": 1, "step": step, "files": files}), indent=1).encode()


def _write_bytes(path: Path, content: bytes) -> dict[str, Any]:
    with DurableFile(path) as file:
        file.write(content)
    return file.summary()


def _write_tensors(path: Path, tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    with DurableFile(path) as file:
        safetensors.write(file, tensors)
    return file.summary()
