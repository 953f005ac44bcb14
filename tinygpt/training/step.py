"""One step of training, in its two halves: gradients of some batches, and the update.

    gathered = gradients(model, [next(batches)], objective.loss, optimizer)
    norm = optim.global_norm(optimizer.parameters())
    update(optimizer, lr, norm, clip=1.0)

Read next: pairs.py, the order in which gradients are added; loop.py, where a verdict stands between
the halves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad import Tensor, optim
from tinygpt.training.pairs import GradientsInPairs

Loss = Callable[[Any, Any], tuple[Tensor, dict[str, float]]]


@dataclass(frozen=True)
class Gathered:
    """What some batches together had: the mean of their losses, of other numbers, and tokens."""

    loss: float
    logged: dict[str, float]
    tokens: int


def gradients(
    model: Any, batches: Sequence[Any], loss: Loss, optimizer: optim.Optimizer,
    whole: float | None = None, around: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Gathered:
    """Leave in each parameter's .grad the gradient of the batches' mean loss.

    The mean is over all that counts in them (objective.py): with weights w_b and losses l_b it is
    sum_b w_b l_b / sum_b w_b, and each batch's backward pass begins with its share w_b / sum w.
    whole: the sum of weights where `batches` are a part of what a step is made of, None if not.
    around: each backward pass runs in it; as it is, each adds to the sum of those before.
    """
    optimizer.zero_grad()
    weight = sum(batch.weight for batch in batches)
    total, logged = 0.0, defaultdict[str, float](float)
    for batch in batches:
        value, numbers = loss(model, batch)
        with around():
            value.backward(np.asarray(batch.weight / (whole or weight), value.dtype))
        total += batch.weight * value.item()
        for name, number in numbers.items():
            logged[name] += batch.weight * number / weight
    return Gathered(total / weight, dict(logged), sum(batch.tokens for batch in batches))


def gradients_in_pairs(
    model: Any, batches: Sequence[Any], loss: Loss, optimizer: optim.Optimizer,
    whole: float | None = None, ready: Callable[[Tensor], object] | None = None,
) -> Gathered:
    """`gradients`, added in the order that any number of processes can keep (pairs.py).

    ready: hears of each parameter as soon as its .grad is whole, beside the last backward pass.
    """
    if len(batches) == 1 and whole is None and ready is None:  # nothing to add
        return gradients(model, batches, loss, optimizer)
    sums = GradientsInPairs(optimizer.parameters(), len(batches), ready)
    return gradients(model, batches, loss, optimizer, whole, sums.backward)


def update(optimizer: optim.Optimizer, lr: float, norm: float, clip: float | None) -> None:
    """Move the parameters along their gradients, whose global norm is `norm`, cut to `clip`."""
    optimizer.step(lr=lr, grad_scale=optim.clip_scale(norm, clip))
