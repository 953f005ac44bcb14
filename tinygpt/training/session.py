"""All the live objects of one training: built from a run and its objective, saved to and restored
from a checkpoint.

Read next: trainer.py, which drives it.
"""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np

import minigrad
from tinygpt.runs import checkpoint as checkpoints
from tinygpt.runs.checkpoint import Checkpoint, CheckpointError
from tinygpt.runs.metrics import StepMetrics
from tinygpt.runs.run import Run
from tinygpt.storage.reading import COUNT, NUMBER, check, one_of
from tinygpt.training.arrays import trained_arrays
from tinygpt.training.group import ALONE, Group
from tinygpt.training.objective import Objective
from tinygpt.training.optimizer import make_optimizer
from tinygpt.training.schedule import schedule_of
from tinygpt.training.state import TrainState

KEEP = 2  # newest scheduled checkpoints kept, besides the best and the newest of all
PENDING = {  # a StepMetrics
    **dict.fromkeys(("step", "tokens", "rss_bytes"), COUNT),
    **dict.fromkeys(("loss", "lr", "grad_norm", "tokens_per_second", "seconds"), NUMBER),
    "skipped": one_of(None), "logged": {str: NUMBER},
}


class Session:
    """Run folder, objective, model, optimizer, schedule, batches and state of a training.

    model: what the objective built; only the objective knows what it can do.
    Random streams are made from training.seed: one for the model (weights, then dropout), one for
    the batches.
    pending: a step that was made, but what is due after it (evaluation, sample) was cut short. It
        is kept in the checkpoint and caught up on when training goes on.
    """

    def __init__(self, run: Run, objective: Objective, group: Group = ALONE):
        """run: where it is kept and what was asked for; objective: with its data.

        group: who trains it together (group.py), each with a Session of its own.
        """
        recipe = run.config.training
        self.run, self.objective, self.config = run, objective, run.config
        if recipe.deterministic:
            fix_order()
        seeds = np.random.SeedSequence(recipe.seed).spawn(2)
        self.state = TrainState(rng=np.random.default_rng(seeds[0]))
        self.model: Any = objective.build(self.state.rng)
        self.optimizer = make_optimizer(self.model, recipe)
        self.schedule = schedule_of(recipe)
        self.batches = objective.batches(self.model, np.random.default_rng(seeds[1]))
        self.pending: StepMetrics | None = None
        self.group = group.attach(self)

    def make_steps(self, steps: int) -> None:
        """Let the training have so many steps in all; the rate goes its way over those."""
        if steps != self.config.training.steps:
            config = self.config.replace("training", steps=steps)
            self.config = self.run.config = self.objective.config = config
            self.schedule = schedule_of(config.training)
            self.run.write_config(config)

    def save(self, scheduled: bool = True) -> Checkpoint | None:
        """Write a checkpoint of this moment and drop the oldest.  Raises OSError.

        scheduled: the recipe asks for one at this step (Checkpoint.scheduled).
        Every rank of a group calls this, and the first of them writes; None at the others.
        """
        self.group.meet()
        moments = self.group.optimizer_state(self.optimizer)
        if moments is None:
            return None
        state: dict[str, Any] = {
            "train": self.state.to_dict(),
            "batches": self.batches.state_dict(),
            "data": self.objective.identity(),
            "computes": how_it_computes(),
        }
        if not scheduled:
            state["scheduled"] = False
        if self.pending is not None:
            logged = {k: v for k, v in self.pending.logged.items() if math.isfinite(v)}
            state["pending"] = {**dataclasses.asdict(self.pending), "logged": logged}
        saved = checkpoints.save(
            self.run.checkpoints, self.state.step, trained_arrays(self.model), moments, state,
        )
        checkpoints.prune(self.run.checkpoints, KEEP, self.state.best_step)
        return saved

    def restore(self, saved: Checkpoint | None, with_data: bool = True) -> None:
        """Go to the moment of a checkpoint.

        saved: None at ranks of a group that have it from the first.
        with_data: go back in the data too; False keeps the place where we are (a rollback must
        not walk into the same batches again).
        Raises CheckpointError for another shape of model.
        """
        group, tensors, written = self.group, None, None
        if saved is not None:
            saved.copy_to(trained_arrays(self.model))
            written, tensors = json.dumps(saved.state()), saved.tensors("optimizer")
        group.spread(trained_arrays(self.model))
        state = json.loads(group.told(written) or "{}")
        try:
            group.load_optimizer(self.optimizer, tensors)
            self.state.load_dict(state["train"])
            if saved is not None and self.state.step != saved.step:
                raise ValueError(f"state.json is of step {self.state.step}")
            self.pending = None
            if with_data:
                self.pending = _pending(self.state.step, state)
                self.batches.load_state_dict(state.get("batches", {}))
        except (ValueError, TypeError) as error:
            where = saved.path if saved is not None else "the first rank's checkpoint"
            raise CheckpointError(
                f"{where} does not fit: {error}. Use an earlier checkpoint of the run."
            ) from error
        group.own_stream(self.state.rng)

    def differences(self, saved: Checkpoint) -> list[str]:
        """Why this process may compute other bits than the one that saved, in words."""
        before, now = saved.state().get("computes", {}), how_it_computes()
        names = sorted({*before, *now})
        return [
            f"{name} was {before.get(name)} and is {now.get(name)}: training goes on, but not to "
            "the bit"
            for name in names
            if before.get(name) != now.get(name)
        ]


def _pending(step: int, state: dict[str, Any]) -> StepMetrics | None:
    """The step that a checkpoint says is not finished.  Raises ValueError for another one's."""
    if "pending" not in state:
        return None
    values = check(state["pending"], PENDING)
    if values["step"] != step:
        raise ValueError(f"its pending step is {values['step']}")
    return StepMetrics(**{f.name: values[f.name] for f in dataclasses.fields(StepMetrics)})


def fix_order() -> None:
    """Make every sum run in one order, whatever the number of threads.

    The C and Numba kernels divide their work over results and never over a sum, so they do already.
    NumPy's BLAS may not: where it multiplies matrices, it gets one thread.
    """
    if minigrad.in_use()["ops"]["matmul_forward"] == "numpy":
        minigrad.set_num_threads(1)


def how_it_computes() -> dict[str, Any]:
    """What the bits of a step depend on, besides the run itself."""
    used = minigrad.in_use()
    backend = used["ops"]["matmul_forward"]
    answer = {"backend": backend, "isa": used["isa"]}
    if backend == "numpy":
        answer["threads"] = minigrad.get_num_threads()
    return answer
