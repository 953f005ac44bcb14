"""The training loop, once. Whoever trains brings batches and a loss, and consumes the generator.

    for metrics in train(model, batches, loss_fn, optimizer, schedule, state, steps=2000):
        ...

One turn is: gradients of `accumulation` batches, their global norm, a verdict on whether they can
be trusted, one optimizer step, one StepMetrics. Evaluation, checkpoints, samples and display are
the consumer's (pretrain.py). Between two turns the consumer may change everything that `state`,
`model` and `optimizer` hold, for example load an older checkpoint: the loop keeps nothing itself.

Read next: trouble.py (the verdict), pretrain.py (a consumer).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad import Tensor, nn, optim
from tinygpt.machine.memory import resident_bytes
from tinygpt.training.state import TrainState
from tinygpt.training.trouble import judge_finite


@dataclass(frozen=True)
class StepMetrics:
    """One optimizer step.

    loss: mean over the step's batches, nats per token.  lr: rate used.  grad_norm: global L2 norm
    before clipping.  tokens: seen since the run began.  seconds: of this step.
    rss_bytes: resident memory after it.  skipped: why the update was not made, or None.
    """

    step: int
    tokens: int
    loss: float
    lr: float
    grad_norm: float
    tokens_per_second: float
    rss_bytes: int
    seconds: float
    skipped: str | None = None


def train(
    model: nn.Module,
    batches: Iterator[Any],
    loss_fn: Callable[[nn.Module, Any], Tensor],
    optimizer: optim.Optimizer,
    schedule: Callable[[int], float],
    state: TrainState,
    *,
    steps: int,
    accumulation: int = 1,
    clip: float | None = None,
    judge: Callable[[TrainState, float, float], str | None] = judge_finite,
) -> Iterator[StepMetrics]:
    """Train until `state.step` reaches `steps`, yielding after every optimizer step.

    batches: gives batches for ever; the first item of each is an array of token ids.
    loss_fn: (model, batch) -> scalar Tensor, the mean loss of that batch.
    schedule: learning rate of a step, counted from 0.
    accumulation: batches in one step; their gradients are averaged.
    clip: largest global gradient norm, None for no limit.
    judge: (state, loss, grad_norm) -> reason not to make this update, or None.
    """
    model.train()
    while state.step < steps:
        started = time.perf_counter()
        loss, tokens = _accumulate(model, batches, loss_fn, optimizer, accumulation)
        norm = optim.global_norm(optimizer.parameters())
        lr = schedule(state.step) * state.lr_scale
        skipped = judge(state, loss, norm)
        if skipped is None:
            scale = 1.0 if clip is None or norm <= clip else clip / norm
            optimizer.step(lr=lr, grad_scale=scale)
        state.step += 1
        state.tokens += tokens
        seconds = time.perf_counter() - started
        state.seconds += seconds
        yield StepMetrics(
            state.step, state.tokens, loss, lr, norm, tokens / seconds, resident_bytes(),
            seconds, skipped,
        )  # fmt: skip


def _accumulate(model, batches, loss_fn, optimizer, accumulation: int) -> tuple[float, int]:
    """Leave the mean gradient of `accumulation` batches in .grad.  Returns (mean loss, tokens)."""
    optimizer.zero_grad()
    share = np.float32(1 / accumulation)
    total, tokens = 0.0, 0
    for _ in range(accumulation):
        batch = next(batches)
        loss = loss_fn(model, batch)
        total += loss.item()
        tokens += batch[0].size
        loss.backward(share)
    return total / accumulation, tokens
