"""What a training will need before it starts: memory, time, disk; and what to do if it is too much.

Weights, gradients and the optimizer's moments follow from the shape. Activations are counted by the
objective, and then corrected by a short trial in a process of its own (probe.py), which also gives
the time. `fit` finds the largest micro-batch that the memory allows, keeping the effective batch
by accumulating gradients, and recomputes activations if that is not enough.

Read next: probe.py, then ../cli/training.py for how it is shown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygpt.config import ConfigError
from tinygpt.machine.memory import Limit, limits, resident_bytes
from tinygpt.planning.probe import Measured, measure
from tinygpt.training.objective import Objective
from tinygpt.training.session import KEEP

FLOAT = 4  # bytes
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

    @property
    def config(self) -> Any:
        """The settings that this is a forecast of."""
        return self.objective.config

    @property
    def tokens(self) -> int:
        """Read in the whole training."""
        recipe = self.config.training
        one = self.objective.example(np.random.default_rng(0)).tokens
        return recipe.steps * recipe.accumulation * one

    @property
    def fits(self) -> bool:
        """Whether the memory is there."""
        return self.limit is None or self.memory.total <= MARGIN * self.limit.size


def estimate(objective: Objective, runtime: int) -> Memory:
    """Memory by counting alone.  runtime: from warm_runtime()."""
    parameters = objective.parameters
    return Memory(
        weights=FLOAT * parameters,
        gradients=FLOAT * parameters,
        moments=int(MOMENT_BYTES[objective.config.training.optimizer] * parameters),
        activations=objective.activation_bytes(),
        runtime=runtime,
    )


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

    trial: measure memory and time in a child process, at the micro-batch asked for if that seems
    to fit, else at the largest that does, scaled up.
    """
    limit = tightest_limit()
    memory, measured = estimate(objective, runtime), None
    if trial:
        tried = _largest_safe(objective, runtime, limit)
        measured = measure(tried)
        if measured is not None:
            memory = _corrected(memory, objective, tried, measured, limit)
    step = total = None
    if measured is not None:
        step, total = _times(objective, tried.config.training.batch_size, measured)
    moments = MOMENT_BYTES[objective.config.training.optimizer]
    checkpoint = int((FLOAT + moments) * objective.parameters)
    others = measured.others if measured is not None else 0.0
    return Plan(objective, memory, limit, step, total, checkpoint, (KEEP + 2) * checkpoint, others)


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
    """Ways to make the same optimizer step, the fastest first, each needing less memory."""
    recipe = objective.config.training
    effective = recipe.batch_size * recipe.accumulation
    sizes = [b for b in range(recipe.batch_size, 0, -1) if effective % b == 0]
    for recompute in sorted({recipe.recompute, True}):
        for size in sizes:
            yield objective.with_training(
                batch_size=size, accumulation=effective // size, recompute=recompute
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
            if recipe.recompute and not plan.config.training.recompute:
                settings += " --set training.recompute=true"
            return f"{text} The same training fits with {settings}; --fit chooses that by itself."
    return f"{text} Choose a smaller model: less model.n_layers, model.d_model or model.context."


def _largest_safe(objective: Objective, runtime: int, limit: Limit | None) -> Objective:
    """`objective`, or with the micro-batch halved until a trial is not likely to exhaust memory."""
    tried = objective
    while (
        limit is not None
        and tried.config.training.batch_size > 1
        and estimate(tried, runtime).total > 0.8 * limit.size
    ):
        tried = tried.with_training(batch_size=tried.config.training.batch_size // 2)
    return tried


def _corrected(
    memory: Memory, objective: Objective, tried: Objective, measured: Measured, limit: Limit | None
) -> Memory:
    """Put what the trial used, beyond what the shape implies, under activations."""
    virtual = limit is not None and limit.virtual
    if virtual:
        base, peak = measured.base_virtual, measured.peak_virtual
    else:
        base, peak = measured.base, measured.peak
    seen = max(peak - base - memory.weights - memory.gradients - memory.moments, 0)
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


def _times(objective: Objective, tried_batch: int, measured: Measured) -> tuple[Times, Times]:
    """Seconds of a step and of the run, evaluations included."""
    recipe = objective.config.training
    scale = recipe.batch_size / tried_batch
    low, likely, high = measured.pass_seconds
    step = tuple(
        recipe.accumulation * scale * one + measured.update_seconds
        for one in (likely, 0.92 * low, 1.08 * high)
    )
    tokens = objective.example(np.random.default_rng(0)).tokens
    share = 0.0  # evaluations cost a forward pass, about a third of a training pass, a token
    if recipe.eval_every and recipe.eval_tokens:
        passes = recipe.eval_tokens / tokens / recipe.eval_every
        share = passes * scale * likely / 3 / step[0]
    return step, tuple(recipe.steps * (1 + share) * one for one in step)
