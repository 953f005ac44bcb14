"""Adam: AdamW's moments with L2 decay in the gradient (Kingma and Ba 2015)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minigrad.optim.adamw import AdamW
from minigrad.optim.optimizer import State
from minigrad.tensor import Tensor


class Adam(AdamW):
    """AdamW's rule on the gradient plus weight_decay w, without the decoupled decay.

    What decays large weights is here divided by the root of the second moment like the rest, which
    is why AdamW came (Loshchilov and Hutter 2019).  Arguments as AdamW.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        super().__init__(params, lr, betas, eps, weight_decay)

    def update(
        self, params: list[Tensor], states: list[State], group: dict[str, Any], grad_scale: float
    ) -> None:
        decay = group["weight_decay"]
        if decay:
            params = [self._with_decay(param, decay / grad_scale) for param in params]
        super().update(params, states, {**group, "weight_decay": 0.0}, grad_scale)

    def _with_decay(self, param: Tensor, decay: float) -> Tensor:
        """The same array with the gradient that includes the decay; param's own is not written."""
        shown = param.detach()
        shown.grad = param.grad + param.data.dtype.type(decay) * param.data
        return shown
