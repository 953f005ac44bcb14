"""The model as it was along the way: weights alone, kept to be looked at.

    history/step-00000100.safetensors

Checkpoints are for going on, so only the newest stay. These are for seeing how a model came to be
(training.history_every), a third of a checkpoint's bytes each, and nothing ever goes on from one.

Read next: ../serving/inside/models.py, which opens them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tinygpt.errors import UserError
from tinygpt.storage import safetensors
from tinygpt.storage.durable import DurableFile
from tinygpt.storage.paths import shown
from tinygpt.storage.reading import FormatError

FOLDER = "history"


def keep(run: Path, step: int, weights: Mapping[str, np.ndarray]) -> None:
    """Write the weights of a step; one that is there is replaced.  Raises OSError."""
    place = _place(run, step)
    place.parent.mkdir(exist_ok=True)
    draft = place.with_suffix(".part")
    with DurableFile(draft) as file:
        safetensors.write(file, weights)
    os.replace(draft, place)


def kept(run: Path) -> list[int]:
    """The steps that are kept, first to last."""
    names = (path.name for path in (run / FOLDER).glob("step-*.safetensors"))
    digits = (name.removeprefix("step-").removesuffix(".safetensors") for name in names)
    return sorted(int(one) for one in digits if one.isascii() and one.isdigit())


def weights(run: Path, step: int) -> dict[str, np.ndarray]:
    """Name -> array of a kept step, mapped.  Raises UserError where it is damaged or gone."""
    try:
        return safetensors.open_tensors(_place(run, step)).arrays
    except FormatError as error:
        raise UserError(
            f"{shown(_place(run, step))} {error}. Look at another step of the run."
        ) from error


def forget(run: Path, after: int) -> None:
    """Delete what is kept of later steps: a run that went back goes another way."""
    for step in kept(run):
        if step > after:
            _place(run, step).unlink(missing_ok=True)


def _place(run: Path, step: int) -> Path:
    return run / FOLDER / f"step-{step:08d}.safetensors"
