"""ZeRO-1: data parallel, and each rank keeps the optimizer's moments of 1/n of the parameters.

Of a sum's two halves (traffic.py) only the first is needed: a rank gets the gradients of those
parameters that it owns, makes their step, and hands round the new weights in place of gradients. So
it costs no byte more on the line, and for n ranks saves 1 - 1/n of the moments and of the update's
time. Parameters are owned as a whole, because Muon looks at whole matrices.

A checkpoint holds all moments, as one process writes them: it goes on with any number of ranks.

Source: Rajbhandari et al. 2020.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from minigrad import nn, optim
from minigrad.writes import wrote
from tinygpt.distributed.data_parallel import DataParallel
from tinygpt.distributed.sums import Plain, all_gather, reduce_scatter
from tinygpt.training.group import OUTER
from tinygpt.training.step import Gathered, Loss


class Zero(DataParallel):
    """Ranks that each update their own parameters."""

    owned = True
    sum = staticmethod(reduce_scatter)

    def divide(self, optimizer: optim.Optimizer) -> None:
        """Let go of the moments that other ranks keep."""
        self._owner = {
            id(parameter): owner
            for bucket in self.buckets
            for parameter, owner in zip(bucket.parameters, bucket.owners or (), strict=True)
        }
        for i, parameter in enumerate(optimizer.parameters()):
            if self._owner[id(parameter)] != self.rank:
                optimizer.state[i] = {}

    def gradients(
        self, model: Any, batches: Any, loss: Loss, optimizer: optim.Optimizer
    ) -> Gathered:
        found = super().gradients(model, batches, loss, optimizer)
        for parameter in optimizer.parameters():  # a step leaves alone what has no gradient
            if self._owner[id(parameter)] != self.rank:
                parameter.grad = None
        return found

    def norm(self, optimizer: optim.Optimizer) -> float:
        squares = self.communicator.texts(repr(super().norm(optimizer) ** 2))
        return math.sqrt(sum(map(float, squares)))

    def updated(self) -> None:
        """Hand round the weights that this rank has changed."""
        for number, bucket in enumerate(self.buckets):
            for parameter, view in zip(bucket.parameters, bucket.views, strict=True):
                if self._owner[id(parameter)] == self.rank:
                    view[...] = parameter.data
            self._courier.begin(all_gather(
                self.communicator, bucket.flat, bucket.bounds, Plain(), 1 + number
            ))
        self._courier.finish()
        for bucket in self.buckets:
            for parameter, view in zip(bucket.parameters, bucket.views, strict=True):
                if self._owner[id(parameter)] != self.rank:
                    parameter.data[...] = view
                    wrote(parameter.data)
                parameter.grad = None  # it was a view of what now holds weights

    def optimizer_state(self, optimizer: optim.Optimizer) -> Mapping[str, np.ndarray] | None:
        arrays = {"steps": np.array(optimizer.steps, dtype=np.int64)}
        for i, parameter in enumerate(optimizer.parameters()):
            owner, state = self._owner[id(parameter)], optimizer.state[i]
            if self.rank == 0 and owner != 0:
                state = optimizer.init(parameter)
            if owner != 0 and self.rank in (0, owner):
                for name in sorted(state):
                    if self.rank == 0:
                        self.communicator.receive(state[name], owner)
                    else:
                        self.communicator.send(state[name], 0)
            arrays.update({f"{i}.{name}": array for name, array in state.items()})
        return arrays if self.rank == 0 else None

    def load_optimizer(
        self, optimizer: optim.Optimizer, tensors: Mapping[str, np.ndarray] | None
    ) -> None:
        whole = None
        if tensors is not None:
            whole = {"steps": np.zeros((), np.int64)}
            for i, parameter in enumerate(optimizer.parameters()):
                state = optimizer.init(parameter)
                whole.update({f"{i}.{name}": array for name, array in state.items()})
            own = {name: a for name, a in tensors.items() if not name.startswith(OUTER)}
            nn.copy_arrays(whole, own, type(optimizer).__name__)
        optimizer.steps = int(self.told(str(int(whole["steps"])) if whole else None) or 0)
        for i, parameter in enumerate(optimizer.parameters()):
            owner = self._owner[id(parameter)]
            state = optimizer.state[i] if owner == self.rank else optimizer.init(parameter)
            for name in sorted(state) if self.rank in (0, owner) else ():
                if whole is None:
                    self.communicator.receive(state[name], 0)
                elif owner == 0:
                    state[name][...] = whole[f"{i}.{name}"]
                else:
                    self.communicator.send(whole[f"{i}.{name}"], owner)
