"""What every rank but the first does: train along, in a folder of its own that goes away again."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tinygpt.config import find_objective
from tinygpt.distributed.start import Joined
from tinygpt.errors import UserError
from tinygpt.machine.manners import PauseWhile
from tinygpt.runs.run import Run
from tinygpt.training.session import Session
from tinygpt.training.trainer import Outcome, Trainer


def follow(
    group: Joined,
    stops: Sequence[Callable[[], str | None]] = (),
    pauses: Sequence[PauseWhile] = (),
) -> Outcome:
    """Train along with rank 0 until it ends.

    stops, pauses: this machine's own; all ranks wait while one does.
    Raises UserError, naming this rank, where this machine lacks what the training needs.
    """
    with tempfile.TemporaryDirectory(prefix="tinygpt-rank-") as folder:
        try:
            return Trainer(joined(group, folder), [], stops, pauses).run()
        except UserError as error:
            raise UserError(f"{group.communicator.name(group.rank)}: {error}") from error


def joined(group: Joined, folder: str) -> Session:
    """A session that stands where rank 0's stands; its run's folder is copied into `folder`."""
    goes_on = group.invited(Path(folder))
    run = Run.open(folder)
    objective = find_objective(run.config.objective).reopen(run, lambda text: None)
    session = Session(run, objective, group)
    if goes_on:
        session.restore(None)
    if goes_on and session.group.told(None):
        session.state.forget_usual()
    return session
