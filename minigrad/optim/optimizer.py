"""Optimizer: parameter groups, and state that can be saved and taken up again to the bit.

A rule is written for the parameters of one group (`update`), so that one kernel call can take them
all; this class lifts it over the groups.

Read next: adamw.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from minigrad.nn.module import copy_arrays
from minigrad.tensor import Tensor
from minigrad.writes import wrote

State = dict[str, np.ndarray]  # one parameter's arrays by name


class Optimizer:
    """Base of optimizers.

    params: Tensors, or groups as in PyTorch: dicts of "params" and settings that differ from the
        defaults, for example {"params": [...], "weight_decay": 0.0}. One that every optimizer has
        is "lr_scale", a factor on the learning rate.
    param_groups: the groups, each with every setting; settings may be changed between steps.
    state: for each parameter, in order, its arrays by name.
    Raises ValueError for no parameters, one in two groups, or an unknown setting.
    """

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]):
        listed = list(params)
        groups = listed if listed and isinstance(listed[0], Mapping) else [{"params": listed}]
        self.param_groups: list[dict[str, Any]] = []
        for group in groups:
            unknown = set(group) - set(defaults) - {"params", "lr_scale"}
            if unknown:
                raise ValueError(
                    f"unknown setting {sorted(unknown)[0]!r}; {type(self).__name__} has "
                    f"{', '.join(defaults)}"
                )
            self.param_groups.append({**defaults, **group, "params": list(group["params"])})
        count = len(list(self.parameters()))
        if count == 0:
            raise ValueError(f"{type(self).__name__} was given no parameters")
        if len({id(p) for p in self.parameters()}) != count:
            raise ValueError("a parameter is in two groups, or twice in one")
        self.steps = 0
        self.state: list[State] = [self.init(p) for p in self.parameters()]

    def init(self, param: Tensor) -> State:
        """The state of one parameter before the first step."""
        raise NotImplementedError

    def update(
        self, params: list[Tensor], states: list[State], group: dict[str, Any], grad_scale: float
    ) -> None:
        """One step of a group's parameters, in place; their gradients count grad_scale times.

        params: those that have a gradient; states: theirs, in the same order.
        """
        raise NotImplementedError

    def parameters(self) -> Iterator[Tensor]:
        """All parameters, group by group."""
        return (param for group in self.param_groups for param in group["params"])

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for param in self.parameters():
            param.grad = None

    def step(self, lr: float | None = None, grad_scale: float = 1.0) -> None:
        """Update every parameter that has a gradient.

        lr: learning rate of this step for all groups, None for each group's own; either counts
            lr_scale times.
        grad_scale: factor on all gradients (clip_grad_norm's), folded into the update.
        """
        self.steps += 1
        states = iter(self.state)
        for group in self.param_groups:
            rate = group["lr"] if lr is None else lr
            settings = {**group, "lr": rate * group.get("lr_scale", 1.0)}
            pairs = [(param, next(states)) for param in group["params"]]
            pairs = [(param, state) for param, state in pairs if param.grad is not None]
            if pairs:
                params, own = zip(*pairs, strict=True)
                self.update(list(params), list(own), settings, grad_scale)
                for param in params:
                    wrote(param.data)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Name -> array, for safetensors: "steps", and "0.m", "0.v", "1.m", ... by parameter."""
        arrays = {f"{i}.{k}": array for i, s in enumerate(self.state) for k, array in s.items()}
        return {"steps": np.array(self.steps, dtype=np.int64), **arrays}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Take up a saved state: the next step is the same to the bit.

        Raises ValueError, before anything is changed, if the arrays are not those of this one.
        """
        own = self.state_dict()  # the live arrays, and a copy of the number of steps
        copy_arrays(own, state, type(self).__name__)
        self.steps = int(own["steps"])
