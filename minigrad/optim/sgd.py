"""SGD: each parameter a step down its gradient, or down a running sum of gradients.

Source: Polyak 1964 for momentum; Sutskever et al. 2013 for Nesterov's as it is written here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from minigrad.optim.optimizer import Optimizer, State
from minigrad.tensor import Tensor


class SGD(Optimizer):
    """w -= lr v with v = momentum v + g, and g the gradient plus weight_decay w.

    momentum: 0 keeps no v and uses g itself.  nesterov: a step of g + momentum v, which looks
    ahead.  weight_decay: L2, added to the gradient (not per unit of lr, as AdamW's is).
    Memory: none, or 4 bytes a parameter.  The same numbers as PyTorch's.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ):
        if lr < 0 or not 0 <= momentum < 1:
            raise ValueError(f"SGD: lr {lr} must be >= 0 and momentum {momentum} in [0, 1)")
        if nesterov and not momentum:
            raise ValueError("SGD: nesterov looks ahead along the momentum; give momentum above 0")
        settings = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(params, {**settings, "nesterov": nesterov})

    def init(self, param: Tensor) -> State:
        """One momentum of the parameter's shape and dtype; none if no group has any."""
        if not any(group["momentum"] for group in self.param_groups):
            return {}
        return {"momentum": np.zeros_like(param.data)}

    def update(
        self, params: list[Tensor], states: list[State], group: dict[str, Any], grad_scale: float
    ) -> None:
        for param, state in zip(params, states, strict=True):
            as_dtype = param.data.dtype.type
            step = np.asarray(param.grad * as_dtype(grad_scale))
            if group["weight_decay"]:
                step += as_dtype(group["weight_decay"]) * param.data
            if group["momentum"]:
                held, momentum = state["momentum"], as_dtype(group["momentum"])
                held *= momentum
                held += step
                step = step + momentum * held if group["nesterov"] else held
            param.data -= as_dtype(group["lr"]) * step
