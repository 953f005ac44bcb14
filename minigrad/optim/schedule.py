"""The learning rate over time."""

from __future__ import annotations

import math
from collections.abc import Callable


def warmup_cosine(
    lr: float, min_lr: float, warmup_steps: int, steps: int
) -> Callable[[int], float]:
    """Rate of step 0, 1, ...: a line up to lr in warmup_steps, half a cosine down to min_lr.

    Step 0 has rate lr / (warmup_steps + 1), not zero; from step `steps` on it is min_lr.
    Source: Loshchilov and Hutter 2017 for the cosine, Goyal et al. 2017 for the warmup.
    """
    if warmup_steps < 0 or steps < 1 or min_lr > lr:
        raise ValueError(
            f"warmup_cosine: need warmup_steps >= 0, steps >= 1, min_lr <= lr; got "
            f"{warmup_steps}, {steps}, {min_lr}, {lr}"
        )

    def rate(step: int) -> float:
        if step < warmup_steps:
            return lr * (step + 1) / (warmup_steps + 1)
        if step >= steps:
            return min_lr
        progress = (step - warmup_steps) / max(steps - warmup_steps, 1)
        return min_lr + 0.5 * (1 + math.cos(math.pi * progress)) * (lr - min_lr)

    return rate
