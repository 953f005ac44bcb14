"""Which model a screen looks at: the one that is served, or an earlier checkpoint of its run.

A few checkpoints stay open, so that a slider that goes back and forth reads each once. A run that
is being trained has new ones whenever it is asked.

Read next: routes.py.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from tinygpt.errors import UserError
from tinygpt.model import LanguageModel
from tinygpt.runs import checkpoint as checkpoints
from tinygpt.runs import history
from tinygpt.runs.run import Run
from tinygpt.serving.served import Served
from tinygpt.storage.paths import kind
from tinygpt.weights.open import is_foreign, kept_model, load_model

OPEN = 4  # checkpoints


class Models:
    """The models of a server and their checkpoints.  In the computing thread alone."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[str, int], LanguageModel] = OrderedDict()

    def at(self, served: Served, step: int | None) -> LanguageModel:
        """The model as it was after `step`; None: as it is served.

        Raises UserError for a model without checkpoints, and for a step that is not (or no longer)
        there.
        """
        if step is None:
            return served.model
        run, key = run_of(served), (served.name, step)
        if run is None:
            raise UserError(
                f"{served.name} has no checkpoints: it is no folder of a run. Leave step out."
            )
        if key not in self._open:
            kept = step in history.kept(run.path)
            self._open[key] = kept_model(run, step) if kept else load_model(run, step)
            while len(self._open) > OPEN:
                self._open.popitem(last=False)
        self._open.move_to_end(key)
        return self._open[key]


def run_of(served: Served) -> Run | None:
    """The run whose folder is served, or None for another kind of model."""
    path = served.path
    if path is None or kind(path) != "folder" or is_foreign(path):
        return None
    return Run.open(path)


def steps_in(folder: Path) -> list[int]:
    """The steps of a run that can be looked at, first to last: checkpoints, and its history's."""
    saved = {one.step for one in checkpoints.listed(folder / "checkpoints")}
    return sorted(saved | {*history.kept(folder)})


def folder_of(served: Served) -> Path:
    """The folder of the run that is served.  Raises UserError for another kind of model."""
    run = run_of(served)
    if run is None:
        raise UserError(
            f"{served.name} is no folder of a run, so no training of it is known. Serve one that "
            "`tinygpt train --out` made."
        )
    return run.path
