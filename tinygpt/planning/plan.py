"""What a training will need before it starts: memory, time, disk; and what to do if it is too much.

Weights, gradients and the optimizer's moments follow from the shape. Activations are counted here,
op by op, and then corrected by a short trial in a process of its own (probe.py), which also gives
the time. `fit` finds the largest micro-batch that the memory allows, keeping the effective batch
by accumulating gradients, and recomputes activations if that is not enough.

Read next: probe.py, then ../cli/training.py for how it is shown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from tinygpt.config import Config, ConfigError, GPTConfig
from tinygpt.machine.memory import Limit, limits, resident_bytes
from tinygpt.model import GPT
from tinygpt.planning.probe import Measured, measure
from tinygpt.training.session import KEEP

FLOAT = 4  # bytes
MARGIN = 0.9  # share of what is available that a plan may take: predictions are not perfect
LOGITS = 2 * 8 << 20  # bytes of a chunk of logits and of its gradient (linear_cross_entropy)
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

    parameters: trained values.  memory: at the peak.  limit: the tightest bound on it, None if
    unknown.  step_seconds: (likely, low, high) for one optimizer step, None if not tried.
    total_seconds: the same for the whole run.  others: share of the processors that other programs
    took while it was tried.  checkpoint_bytes: of one; disk_bytes: of all kept.
    """

    config: Config
    parameters: int
    memory: Memory
    limit: Limit | None
    step_seconds: tuple[float, float, float] | None
    total_seconds: tuple[float, float, float] | None
    checkpoint_bytes: int
    disk_bytes: int
    others: float = 0.0

    @property
    def fits(self) -> bool:
        """Whether the memory is there."""
        return self.limit is None or self.memory.total <= MARGIN * self.limit.size


def count_parameters(shape: GPTConfig) -> int:
    """Trained values of a GPT of this shape, from the shape alone."""
    c, norm = shape.d_model, shape.d_model
    block = 12 * c * c + 2 * norm  # qkv 3, projection 1, up 4, down 4; two norms
    return shape.n_layers * block + norm + (shape.vocab_size + shape.context) * c


def activation_bytes(shape: GPTConfig, batch: int, recompute: bool = False) -> int:
    """Bytes alive when backward begins, and backward's own largest work buffers.

    Floats a token in one block: two norms keep their input (2 C; their output is made again),
    attention its packed projection, output and one number a head (4 C + H), the MLP its hidden
    layer before the activation (4 C).  Recomputing keeps two C a block, and one block's in full
    while it is done.
    """
    c, heads, layers = shape.d_model, shape.n_heads, shape.n_layers
    block = 10 * c + heads
    kept = 2 * c * layers + block if recompute else block * layers
    outside = 2 * c  # last norm, the stream's gradient
    work = 6 * c  # a norm made again, gradients of the MLP's hidden layer and of what it reads
    tokens = batch * shape.context
    logits = min(LOGITS, 2 * FLOAT * tokens * shape.vocab_size)
    return FLOAT * tokens * (kept + outside + work) + logits


def warm_runtime() -> int:
    """Bytes of this process once every kernel has run: Python, libraries, threads' buffers."""
    shape = GPTConfig(vocab_size=16, context=16, n_layers=1, n_heads=1, d_model=16)
    ids = np.zeros((1, 16), dtype=np.int64)
    GPT(shape, np.random.default_rng(0)).loss(ids, ids).backward()
    return resident_bytes()


def estimate(config: Config, runtime: int) -> Memory:
    """Memory by counting alone.  runtime: from warm_runtime()."""
    shape, recipe = config.model, config.training
    parameters = count_parameters(shape)
    return Memory(
        weights=FLOAT * parameters,
        gradients=FLOAT * parameters,
        moments=int(MOMENT_BYTES[recipe.optimizer] * parameters),
        activations=activation_bytes(shape, recipe.batch_size, recipe.recompute),
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


def make_plan(config: Config, runtime: int, trial: bool = True) -> Plan:
    """Forecast a configuration (vocabulary size filled in).

    trial: measure memory and time in a child process, at the micro-batch asked for if that seems
    to fit, else at the largest that does, scaled up.
    """
    limit = tightest_limit()
    memory, measured = estimate(config, runtime), None
    if trial:
        tried = _largest_safe(config, runtime, limit)
        measured = measure(tried)
        if measured is not None:
            memory = _corrected(memory, config, tried, measured, limit)
    step = total = None
    if measured is not None:
        step, total = _times(config, tried.training.batch_size, measured)
    parameters = count_parameters(config.model)
    checkpoint = int(FLOAT * parameters + MOMENT_BYTES[config.training.optimizer] * parameters)
    others = measured.others if measured is not None else 0.0
    return Plan(
        config, parameters, memory, limit, step, total, checkpoint, (KEEP + 1) * checkpoint, others
    )


def fit(config: Config, runtime: int, say: Callable[[str], None] | None = None) -> Plan:
    """The plan with the largest micro-batch that fits, of the same effective batch.

    Raises ConfigError when even one sequence at a time, recomputed, is too much.
    """
    limit = tightest_limit()
    for candidate in candidates(config):
        room = MARGIN * limit.size if limit is not None else float("inf")
        if estimate(candidate, runtime).total > room:
            continue
        plan = make_plan(candidate, runtime)
        if plan.fits:
            return plan
        if say is not None:
            say(f"batch_size {candidate.training.batch_size} was tried and is too large")
    raise ConfigError(refusal(make_plan(config, runtime, trial=False)))


def candidates(config: Config) -> Iterator[Config]:
    """Ways to make the same optimizer step, the fastest first, each needing less memory."""
    recipe = config.training
    effective = recipe.batch_size * recipe.accumulation
    sizes = [b for b in range(recipe.batch_size, 0, -1) if effective % b == 0]
    for recompute in sorted({recipe.recompute, True}):
        for size in sizes:
            yield config.replace(
                "training", batch_size=size, accumulation=effective // size, recompute=recompute
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
    for candidate in candidates(plan.config):
        if estimate(candidate, plan.memory.runtime).total <= room:
            recipe = candidate.training
            settings = f"--set training.batch_size={recipe.batch_size}"
            settings += f" --set training.accumulation={recipe.accumulation}"
            if recipe.recompute and not plan.config.training.recompute:
                settings += " --set training.recompute=true"
            return f"{text} The same training fits with {settings}; --fit chooses that by itself."
    return f"{text} Choose a smaller model: less model.n_layers, model.d_model or model.context."


def _largest_safe(config: Config, runtime: int, limit: Limit | None) -> Config:
    """`config`, or with the micro-batch halved until a trial is not likely to exhaust memory."""
    tried = config
    while (
        limit is not None
        and tried.training.batch_size > 1
        and estimate(tried, runtime).total > 0.8 * limit.size
    ):
        tried = tried.replace("training", batch_size=tried.training.batch_size // 2)
    return tried


def _corrected(
    memory: Memory, config: Config, tried: Config, measured: Measured, limit: Limit | None
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
    # What counting misses (buffers of threads and libraries) does not grow with the batch.
    counted = activation_bytes(tried.model, tried.training.batch_size, tried.training.recompute)
    grows = min(seen, counted) / counted * memory.activations
    return dataclasses.replace(
        memory, runtime=runtime, activations=int(grows + max(seen - counted, 0))
    )


def _times(config: Config, tried_batch: int, measured: Measured):
    """(likely, low, high) seconds of a step and of the run, evaluations included."""
    recipe, scale = config.training, config.training.batch_size / tried_batch
    low, likely, high = measured.pass_seconds
    step = tuple(
        recipe.accumulation * scale * one + measured.update_seconds
        for one in (likely, 0.92 * low, 1.08 * high)
    )
    tokens = recipe.batch_size * config.model.context
    share = 0.0  # evaluations cost a forward pass, about a third of a training pass, a token
    if recipe.eval_every and recipe.eval_tokens:
        passes = recipe.eval_tokens / tokens / recipe.eval_every
        share = passes * scale * likely / 3 / step[0]
    return step, tuple(recipe.steps * (1 + share) * one for one in step)
