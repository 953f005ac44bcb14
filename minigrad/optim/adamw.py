"""AdamW.  The rule and its source: kernels/numpy_ref/adamw.py."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from kernels import active
from minigrad.optim.optimizer import Optimizer, State
from minigrad.tensor import Tensor


class AdamW(Optimizer):
    """Adam with decoupled weight decay: each parameter and its two moments, one read and write.

    betas: decay of the running mean of gradients and of their squares.  eps: under the root's
    reciprocal.  weight_decay: per unit of lr.  Memory: 8 bytes a parameter.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ):
        if lr < 0 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"AdamW: lr {lr} must be >= 0 and betas {betas} in [0, 1)")
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, settings)

    def init(self, param: Tensor) -> State:
        """m and v: zeros of the shape and dtype of the parameter."""
        return {"m": np.zeros_like(param.data), "v": np.zeros_like(param.data)}

    def update(
        self, params: list[Tensor], states: list[State], group: dict[str, Any], grad_scale: float
    ) -> None:
        active.adamw_update(
            [param.data for param in params], [param.grad for param in params],
            [state["m"] for state in states], [state["v"] for state in states],
            lr=group["lr"], beta1=group["betas"][0], beta2=group["betas"][1], eps=group["eps"],
            weight_decay=group["weight_decay"], step=self.steps, grad_scale=grad_scale,
        )
