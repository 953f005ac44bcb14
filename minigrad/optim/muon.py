"""Muon: momentum whose every direction counts the same.  The rule, why and its sources:
kernels/numpy_ref/muon.py.

What is not a matrix between hidden layers (embeddings, norms) has no singular directions to speak
of and follows AdamW.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from kernels import active
from kernels.numpy_ref import muon as reference
from minigrad.optim.adamw import AdamW
from minigrad.optim.optimizer import State
from minigrad.tensor import Tensor


def orthogonalize(matrix: np.ndarray, iterations: int = 4) -> np.ndarray:
    """U V^T of matrix = U S V^T, roughly: singular values end within about 0.8 to 1.2.

    matrix: (M, N) float.  Returns (M, N).  The reference's, for looking at: a step has its own.
    """
    return reference.orthogonalize(matrix, reference.rounds_of(iterations))


class Muon(AdamW):
    """Muon for `matrices`, AdamW for the groups in `others`; one lr drives both.

    matrices: 2-D Tensors of hidden layers, each with one momentum (4 bytes a parameter).
    others: groups as AdamW takes them.
    momentum: of the matrices, Nesterov's form; 0.95 is usual for long runs, ours are short.
    warmup: (start, steps): the momentum rises in a line from `start`, the first step's, to
        `momentum` in so many steps, so that the first gradients, of weights that say nothing yet,
        are forgotten soon. None: it is `momentum` from the first step on.
    weight_decay: of the matrices, per unit of lr.
    iterations: rounds that bring singular values near 1, at least 1; more than four converge.
    """

    def __init__(
        self,
        matrices: Iterable[Tensor],
        others: Iterable[dict[str, Any]],
        lr: float = 1e-2,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
        iterations: int = 4,
        warmup: tuple[float, int] | None = None,
    ):
        matrices = list(matrices)
        self._orthogonal = {id(matrix) for matrix in matrices}
        self.momentum, self.rounds = momentum, reference.rounds_of(iterations)
        self.warmup = warmup
        groups = [{"params": matrices, "weight_decay": weight_decay}, *others]
        super().__init__(groups, lr=lr, betas=betas, eps=eps, weight_decay=0.0)

    def momentum_now(self) -> float:
        """The momentum of step number `steps`, counted from 1."""
        if self.warmup is None:
            return self.momentum
        start, steps = self.warmup
        return start + (self.momentum - start) * min((self.steps - 1) / steps, 1.0)

    def init(self, param: Tensor) -> State:
        """One momentum of the matrix's shape and dtype; AdamW's m and v for the others."""
        if id(param) in self._orthogonal:
            return {"momentum": np.zeros_like(param.data)}
        return super().init(param)

    def update(
        self, params: list[Tensor], states: list[State], group: dict[str, Any], grad_scale: float
    ) -> None:
        if "momentum" not in states[0]:
            return super().update(params, states, group, grad_scale)
        active.muon_update(
            [param.data for param in params], [param.grad for param in params],
            [state["momentum"] for state in states],
            lr=group["lr"], momentum=self.momentum_now(), weight_decay=group["weight_decay"],
            rounds=self.rounds, grad_scale=grad_scale,
        )
