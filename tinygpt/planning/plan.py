"""What a training will need before it starts: memory, time, disk; and what to do if it is too much.

Weights, gradients and the optimizer's moments follow from the shape. Activations are counted by the
objective, and then corrected by a short trial in a process of its own (probe.py), which also gives
the time. `fit` finds the largest micro-batch that the memory allows, keeping the effective batch
by accumulating gradients, and recomputes activations if that is not enough.

Read next: probe.py, then ../cli/planning.py for how it is shown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygpt.config import ConfigError, TrainingConfig
from tinygpt.machine.memory import Limit, limits, resident_bytes
from tinygpt.planning.probe import ROOM, Measured, measure
from tinygpt.training.objective import Objective
from tinygpt.training.pairs import copies
from tinygpt.training.session import KEEP

FLOAT = 4  # bytes
LARGEST = 4096  # sequences in a micro-batch that --fit looks at
MARGIN = 0.9  # share of what is available that a plan may take: predictions are not perfect
Times = tuple[float, float, float]  # likely, low, high
MOMENT_BYTES = {"adamw": 8.0, "adamw8bit": 2.04, "muon": 4.5}  # a parameter


@dataclass(frozen=True)
class Memory:
    """Bytes of a training's process at its peak, by use."""

    weights: int
    gradients: int
    moments: int
    activations: int
    runtime: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(dataclasses.astuple(self))


@dataclass(frozen=True)
class Plan:
    """A forecast.

    objective: what was asked for, or what --fit made of it.  memory: at the peak.
    limit: the tightest bound on it, None if unknown.  step_seconds: (likely, low, high) for one
    optimizer step, None if not tried.  total_seconds: the same for the whole run.
    others: share of the processors that other programs took while it was tried.
    trial: what was seen of it, None if not tried.
    checkpoint_bytes: of one; disk_bytes: of all kept.
    """

    objective: Objective
    memory: Memory
    limit: Limit | None
    step_seconds: Times | None
    total_seconds: Times | None
    checkpoint_bytes: int
    disk_bytes: int
    others: float = 0.0
    trial: Measured | None = None

    @property
    def config(self) -> Any:
        """The settings that this is a forecast of."""
        return self.objective.config

    @property
    def tokens(self) -> int:
        """Read in the whole training."""
        recipe = self.config.training
        sequences = recipe.steps * recipe.accumulation * recipe.batch_size
        return sequences * _tokens_of_one(self.objective)

    @property
    def fits(self) -> bool:
        """Whether the memory is there."""
        return self.limit is None or self.memory.total <= MARGIN * self.limit.size


def estimate(objective: Objective, runtime: int) -> Memory:
    """Memory by counting alone.  runtime: from warm_runtime()."""
    parameters = objective.parameters
    return Memory(
        weights=FLOAT * parameters + objective.frozen_bytes(),
        gradients=FLOAT * parameters * _copies(objective.config.training),
        moments=int(MOMENT_BYTES[objective.config.training.optimizer] * parameters),
        activations=objective.activation_bytes(),
        runtime=runtime,
    )


def _copies(recipe: TrainingConfig) -> int:
    """Of the gradients, that a step keeps."""
    return copies(recipe.accumulation) if recipe.sum_order == "pairs" else 1


def tightest_limit() -> Limit | None:
    """The bound on the memory of a training in this process, None if none is known."""
    own = resident_bytes()  # already counted as used by machine and control group
    found = [
        bound if bound.virtual else dataclasses.replace(bound, size=bound.size + own)
        for bound in limits()
    ]
    return min(found, key=lambda bound: bound.size, default=None)


def make_plan(objective: Objective, runtime: int, trial: bool = True) -> Plan:
    """Forecast a training (of an objective whose settings are complete; its data is not needed).

    trial: measure memory and time in a child process, at the micro-batch asked for if that is
        quick and small, else at the largest that is, scaled up. Where not even one sequence fits
        there is nothing to try.
    """
    limit = tightest_limit()
    memory, measured = estimate(objective, runtime), None
    room = _room(objective, runtime, limit)
    if trial and room > 0:
        measured = measure(objective, room=room)
    step = total = None
    if measured is not None:
        tried = objective.with_training(batch_size=measured.batch_size)
        memory = _corrected(memory, objective, tried, measured, limit)
        step, total = _times(objective, measured)
    moments = MOMENT_BYTES[objective.config.training.optimizer]
    checkpoint = int((FLOAT + moments) * objective.parameters)
    others = measured.others if measured is not None else 0.0
    disk = (KEEP + 2) * checkpoint
    return Plan(objective, memory, limit, step, total, checkpoint, disk, others, measured)


def fit(objective: Objective, runtime: int, say: Callable[[str], None] | None = None) -> Plan:
    """The plan with the largest micro-batch that fits, of the same effective batch.

    Raises ConfigError when even one sequence at a time, recomputed, is too much.
    """
    limit = tightest_limit()
    for candidate in candidates(objective):
        room = MARGIN * limit.size if limit is not None else float("inf")
        if estimate(candidate, runtime).total > room:
            continue
        plan = make_plan(candidate, runtime)
        if plan.fits:
            return plan
        if say is not None:
            size = candidate.config.training.batch_size
            say(f"batch_size {size} was tried and is too large")
    raise ConfigError(refusal(make_plan(objective, runtime, trial=False)))


def candidates(objective: Objective) -> Iterator[Objective]:
    """Ways to make the same optimizer step, the fastest first, each needing less memory.

    Smaller batches than asked for are added in turn, where in pairs more than one sum would wait.
    """
    recipe = objective.config.training
    effective = recipe.batch_size * recipe.accumulation
    smaller = range(min(recipe.batch_size - 1, LARGEST), 0, -1)
    sizes = [b for b in (recipe.batch_size, *smaller) if effective % b == 0]
    for recompute in sorted({recipe.recompute, True}):
        for size in sizes:
            count = effective // size
            kept = size == recipe.batch_size or copies(count) == 1
            yield objective.with_training(
                batch_size=size, accumulation=count, recompute=recompute,
                sum_order=recipe.sum_order if kept else "turn",
            )


def refusal(plan: Plan) -> str:
    """What is too much, and the largest setting that would do, in two sentences.

    Raises ValueError for a plan that nothing limits.
    """
    if plan.limit is None:
        raise ValueError("a plan without a limit has nothing to refuse")
    need, have = plan.memory.total / 2**20, plan.limit.size / 2**20
    text = f"this training needs about {need:,.0f} MB, and there are {have:,.0f}"
    text += f" ({plan.limit.name})."
    room = MARGIN * plan.limit.size
    for candidate in candidates(plan.objective):
        if estimate(candidate, plan.memory.runtime).total <= room:
            recipe = candidate.config.training
            settings = f"--set training.batch_size={recipe.batch_size}"
            settings += f" --set training.accumulation={recipe.accumulation}"
            if recipe.sum_order != plan.config.training.sum_order:
                settings += f" --set training.sum_order={recipe.sum_order}"
            if recipe.recompute and not plan.config.training.recompute:
                settings += " --set training.recompute=true"
            return f"{text} The same training fits with {settings}; --fit chooses that by itself."
    return f"{text} Choose a smaller model: less model.n_layers, model.d_model or model.context."


def _room(objective: Objective, runtime: int, limit: Limit | None) -> int:
    """Bytes that the activations of a trial may take, 0 if one sequence is too much already."""
    one = estimate(objective.with_training(batch_size=1), runtime)
    if limit is None:
        return ROOM
    left = int(0.8 * limit.size) - (one.total - one.activations)
    return min(ROOM, left) if left >= one.activations else 0


def _tokens_of_one(objective: Objective) -> int:
    """Tokens of one sequence: a whole batch may be more than memory holds."""
    one = objective.with_training(batch_size=1)
    return one.example(np.random.default_rng(0)).tokens


def _corrected(
    memory: Memory, objective: Objective, tried: Objective, measured: Measured, limit: Limit | None
) -> Memory:
    """Put what the trial used, beyond what the shape implies, under activations."""
    virtual = limit is not None and limit.virtual
    if virtual:
        base, peak = measured.base_virtual, measured.peak_virtual
    else:
        base, peak = measured.base, measured.peak
    once = FLOAT * objective.parameters  # of two batches, which a trial has, no sum waits
    seen = max(peak - base - memory.weights - once - memory.moments, 0)
    # This process holds data, log and display too, which the trial did without.
    runtime = max(base, memory.runtime)
    counted = tried.activation_bytes()
    if not counted:  # nothing was counted: all of it is taken to grow with the batch
        grown = objective.config.training.batch_size / tried.config.training.batch_size
        return dataclasses.replace(memory, runtime=runtime, activations=int(seen * grown))
    # What counting misses (buffers of threads and libraries) does not grow with the batch.
    grows = min(seen, counted) / counted * memory.activations
    return dataclasses.replace(
        memory, runtime=runtime, activations=int(grows + max(seen - counted, 0))
    )


def _times(objective: Objective, measured: Measured) -> tuple[Times, Times]:
    """Seconds of a step and of the run, evaluations included."""
    recipe = objective.config.training
    low, likely, high = measured.step_seconds(recipe)
    step = (likely, 0.92 * low, 1.08 * high)
    share = 0.0  # evaluations cost a forward pass, about a third of a training pass, a token
    if recipe.eval_every and recipe.eval_tokens:
        a_sequence = measured.pass_seconds[1] / measured.batch_size
        sequences = recipe.eval_tokens / _tokens_of_one(objective) / recipe.eval_every
        share = sequences * a_sequence / 3 / likely
    total = recipe.steps * (1 + share)
    return step, (total * step[0], total * step[1], total * step[2])
