"""The training loop, once. Whoever trains brings batches and a loss, and consumes the generator.

    for metrics in train(model, batches, loss, optimizer, schedule, state, steps=2000):
        ...

One turn is: gradients of `accumulation` batches, their global norm, a verdict on whether they can
be trusted, one optimizer step, one StepMetrics. Evaluation, checkpoints, samples and display are
the consumer's (trainer.py). Between two turns the consumer may change everything that `state`,
`model` and `optimizer` hold, for example load an older checkpoint: the loop keeps nothing itself.

Read next: step.py (the turn's halves), trouble.py (the verdict), trainer.py (a consumer).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from minigrad import nn, optim
from tinygpt.machine.memory import resident_bytes
from tinygpt.runs.metrics import StepMetrics
from tinygpt.training.group import ALONE, Group
from tinygpt.training.state import TrainState
from tinygpt.training.step import Loss, update
from tinygpt.training.trouble import judge_finite


def train(
    model: nn.Module,
    batches: Iterator[Any],
    loss: Loss,
    optimizer: optim.Optimizer,
    schedule: Callable[[int], float],
    state: TrainState,
    *,
    steps: int,
    accumulation: int = 1,
    clip: float | None = None,
    judge: Callable[[TrainState, float, float], str | None] = judge_finite,
    group: Group = ALONE,
) -> Iterator[StepMetrics]:
    """Train until `state.step` reaches `steps`, yielding after every optimizer step.

    batches, loss: for ever, and (model, batch) -> (mean loss, numbers to log): an objective's.
    schedule: learning rate of a step, counted from 0.
    accumulation: batches in one step, all drawn before the first is looked at.
    clip: largest global gradient norm, None for no limit.
    judge: (state, loss, grad_norm) -> reason not to make this update, or None.
    group: who makes each step together; every one of them runs this loop.
    """
    model.train()
    while state.step < steps:
        started = time.perf_counter()
        drawn = [next(batches) for _ in range(accumulation)]
        gathered = group.gradients(model, drawn, loss, optimizer)
        norm = group.norm(optimizer)
        lr = schedule(state.step) * state.lr_scale
        skipped = judge(state, gathered.loss, norm)
        if skipped is None:
            update(optimizer, lr, norm, clip)
            group.updated()
        state.step += 1
        state.tokens += gathered.tokens
        seconds = time.perf_counter() - started
        state.seconds += seconds
        yield StepMetrics(
            state.step, state.tokens, gathered.loss, lr, norm, gathered.tokens / seconds,
            resident_bytes(), seconds, skipped, gathered.logged,
        )
