"""From processes that mpirun has started to a group that trains: are they alike, and who does what.

Read next: folders.py, follow.py.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygpt.config import ConfigError
from tinygpt.distributed import folders
from tinygpt.distributed.communicator import Communicator
from tinygpt.distributed.data_parallel import DataParallel
from tinygpt.distributed.local_steps import LocalSteps
from tinygpt.distributed.mpi import REFUSED, MPICommunicator, started_ranks
from tinygpt.distributed.ranks import Ranks
from tinygpt.distributed.zero import Zero
from tinygpt.errors import UserError
from tinygpt.training.arrays import trained_arrays
from tinygpt.training.group import ALONE, Group
from tinygpt.training.session import how_it_computes
from tinygpt.training.step import gradients

if TYPE_CHECKING:
    from tinygpt.training.session import Session

HOUSE = Path(__file__).parents[2]
TRIALS = 3  # batches that a rank's speed is measured on, after one that warms up


def join() -> Group:
    """The group of those that mpirun has started; ALONE without it.

    Raises UserError where they cannot work together.
    """
    if started_ranks() == 1:
        return ALONE
    communicator = MPICommunicator()
    check_alike(communicator, programs())
    return Joined(communicator)


@cache
def programs() -> dict[str, str]:
    """What must be the same at all ranks, for their numbers to be the same."""
    digest = hashlib.sha256()
    for package in ("kernels", "minigrad", "tinygpt"):
        for path in sorted((HOUSE / package).rglob("*.py")):
            digest.update(path.read_bytes())
    computes = {name: str(value) for name, value in how_it_computes().items() if name != "threads"}
    return {
        "tinygpt": f"{version('tinygpt')} (sources {digest.hexdigest()[:8]})",
        "numpy": np.__version__,
        **computes,
    }


ADVICE = {
    "tinygpt": "Copy one folder of the program to all machines.",
    "numpy": "Install the same version on all machines.",
    "isa": "Set KERNELS_ISA to one that all have, as in KERNELS_ISA=avx2, for mpirun's processes.",
    "backend": "Set KERNELS_BACKEND to one that all have, or build the C kernels on all machines.",
    "data": "Bring the same files there, or send the run's folder again.",
    "base": "Copy the folder of the base model to that machine again.",
}


def check_alike(communicator: Communicator, own: dict[str, str]) -> None:
    """Raise UserError at rank 0, naming the first rank that differs; other ranks leave silently."""
    said = [json.loads(text) for text in communicator.texts(json.dumps(own))]
    for rank, other in enumerate(said):
        for name, value in said[0].items():
            if other.get(name) == value:
                continue
            if communicator.rank != 0:
                raise SystemExit(REFUSED)
            raise UserError(
                f"{communicator.name(rank)} has another {name} than rank 0: {other.get(name)} "
                f"instead of {value}. {ADVICE[name]}"
            )


class Joined(Ranks):
    """Ranks that have met, before it is known what they will train."""

    def cut(self, config: Any) -> Any:
        recipe = config.training
        if recipe.accumulation >= self.size:
            return config
        size, count = cut(recipe.batch_size, recipe.accumulation, self.size)
        return config.replace("training", batch_size=size, accumulation=count)

    def invite(self, folder: Path, goes_on: bool) -> None:
        self.told("go on" if goes_on else None)
        folders.send(self.communicator, folder)

    def invited(self, folder: Path) -> bool:
        """Wait for what the first rank has made, and put it into `folder`.

        Returns whether there is a checkpoint to go on from.
        """
        goes_on = self.told(None) is not None
        folders.receive(self.communicator, folder)
        return goes_on

    def attach(self, session: Session) -> Group:
        check_alike(self.communicator, {
            "data": _digest(session.objective.identity()), "base": _frozen(session.model)
        })
        recipe = session.config.training
        self.spread(trained_arrays(session.model))
        parts = None
        if recipe.shares == "measured":
            speeds = [float(text) for text in self.communicator.texts(repr(_speed(session)))]
            parts = parts_of(speeds, recipe.accumulation)
        self.own_stream(session.state.rng)
        parameters = [p for p in session.model.parameters() if p.requires_grad]
        int8 = recipe.exchange == "int8"
        if recipe.local_steps is not None:
            return LocalSteps(
                self.communicator, parameters, every=recipe.local_steps, lr=recipe.outer_lr,
                momentum=recipe.outer_momentum, int8=int8, parts=parts,
            )
        kind = Zero if recipe.zero else DataParallel
        group = kind(
            self.communicator, parameters, int8=int8, early=not recipe.recompute, parts=parts
        )
        if isinstance(group, Zero):
            group.divide(session.optimizer)
        return group

    def close(self) -> None:
        if isinstance(self.communicator, MPICommunicator):
            self.communicator.close()


def cut(batch_size: int, accumulation: int, ranks: int) -> tuple[int, int]:
    """(batch size, batches in a step) of the same step, with a batch for every rank.

    As few batches as there are ranks, or a multiple, if they go; else as few as possible.
    Raises ConfigError for a step that has fewer sequences than there are ranks.
    """
    whole = batch_size * accumulation
    counts = [count for count in range(ranks, whole + 1) if whole % count == 0]
    if not counts:
        raise ConfigError(
            f"training.batch_size = {batch_size} (accumulation {accumulation}) leaves some of "
            f"{ranks} ranks without work. Set training.batch_size={ranks} or more, or start fewer."
        )
    count = next((count for count in counts if count % ranks == 0), counts[0])
    return whole // count, count


def parts_of(speeds: Sequence[float], count: int) -> list[int]:
    """How many of `count` batches each rank takes, so that all are done at about the same time.

    speeds: batches a second.  Everybody gets one; each further one goes to whoever would then be
    done first.
    """
    parts = [1] * len(speeds)
    for _ in range(count - len(speeds)):
        done = [(part + 1) / speed for part, speed in zip(parts, speeds, strict=True)]
        parts[done.index(min(done))] += 1
    return parts


def _speed(session: Session) -> float:
    """Batches a second that this rank works through.  The session is left as it was."""
    stream = session.state.rng.bit_generator.state
    rng, best = np.random.default_rng(0), float("inf")
    for _ in range(1 + TRIALS):
        batch = session.objective.example(rng)
        began = time.perf_counter()
        gradients(session.model, [batch], session.objective.loss, session.optimizer)
        best = min(best, time.perf_counter() - began)
    session.optimizer.zero_grad()
    session.state.rng.bit_generator.state = stream
    return 1 / best


def _digest(values: Any) -> str:
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _frozen(model: Any) -> str:
    """A digest of what a model holds and training does not change."""
    digest, trained = hashlib.sha256(), trained_arrays(model)
    for name, array in sorted(model.state_dict().items()):
        if name not in trained:
            digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:12]
