"""One step of training, in its two halves: gradients of some batches, and the update.

    gathered = gradients(model, [next(batches)], objective.loss, optimizer)
    norm = optim.global_norm(optimizer.parameters())
    update(optimizer, lr, norm, clip=1.0)

Read next: loop.py, where a verdict stands between the halves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad import Tensor, optim

Loss = Callable[[Any, Any], tuple[Tensor, dict[str, float]]]


@dataclass(frozen=True)
class Gathered:
    """What some batches together had: the mean of their losses, of other numbers, and tokens."""

    loss: float
    logged: dict[str, float]
    tokens: int


def gradients(
    model: Any, batches: Sequence[Any], loss: Loss, optimizer: optim.Optimizer
) -> Gathered:
    """Leave in each parameter's .grad the gradient of the batches' mean loss.

    The mean is over all that counts in them (objective.py): with weights w_b and losses l_b it is
    sum_b w_b l_b / sum_b w_b, and each batch's backward pass begins with its share w_b / sum w.
    """
    optimizer.zero_grad()
    whole = sum(batch.weight for batch in batches)
    total, logged = 0.0, defaultdict[str, float](float)
    for batch in batches:
        value, numbers = loss(model, batch)
        value.backward(np.asarray(batch.weight / whole, value.dtype))
        total += batch.weight * value.item()
        for name, number in numbers.items():
            logged[name] += batch.weight * number / whole
    return Gathered(total / whole, dict(logged), sum(batch.tokens for batch in batches))


def update(optimizer: optim.Optimizer, lr: float, norm: float, clip: float | None) -> None:
    """Move the parameters along their gradients, whose global norm is `norm`, cut to `clip`."""
    optimizer.step(lr=lr, grad_scale=optim.clip_scale(norm, clip))
