"""Local steps: every rank trains on its share alone, and only now and then all meet.

After `every` steps the ranks compare how far each has moved the weights since they last met. The
mean of these moves is taken as a gradient, and a second, outer optimizer makes one step along it:
SGD with Nesterov's momentum. Everybody goes on from there, with its own moments. A slow line then
carries 1/every of the bytes.

Sums are of moves, so they may travel as int8 as well. Between meetings weights differ: evaluations
and checkpoints make the ranks meet first. The outer momentum is in the checkpoint; the inner
moments in it are the first rank's, and all ranks go on from those.

Source: DiLoCo, Douillard et al. 2023 (outer rate 0.7, momentum 0.9). With some tens of meetings the
moves of 0.9 come too late: 600 steps of a small model end at a loss 4 % above one process's, with
0.7 at 2 % below (bench/LOG.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minigrad import Tensor, optim
from minigrad.writes import wrote
from tinygpt.distributed.buckets import make_buckets
from tinygpt.distributed.communicator import Communicator
from tinygpt.distributed.courier import Courier
from tinygpt.distributed.ranks import Ranks
from tinygpt.distributed.sums import Int8, Plain, all_reduce
from tinygpt.training.group import OUTER
from tinygpt.training.step import Gathered, Loss, gradients_in_pairs


class LocalSteps(Ranks):
    """Ranks that meet after every so many steps.

    every: steps.  lr, momentum: of the outer step.  int8: moves travel as bytes.
    """

    def __init__(
        self, communicator: Communicator, parameters: Sequence[Tensor], *, every: int, lr: float,
        momentum: float, int8: bool = False, parts: Sequence[int] | None = None,
    ):
        super().__init__(communicator, parts)
        self.every, self.lr, self.momentum = every, lr, momentum
        self.buckets = make_buckets(parameters, self.size)
        self._codecs = [Int8(b.flat.size) if int8 else Plain() for b in self.buckets]
        self._met = [np.zeros_like(b.flat) for b in self.buckets]  # weights when they last met
        self._momenta = [np.zeros_like(b.flat) for b in self.buckets]
        self._alone = 0  # steps since
        self._courier = Courier()
        self._note()

    def gradients(
        self, model: Any, batches: Sequence[Any], loss: Loss, optimizer: optim.Optimizer
    ) -> Gathered:
        """This rank's own in the parameters; what is returned is of all."""
        share = self.share(batches)
        own = gradients_in_pairs(model, share.batches, loss, optimizer)
        return self.together(own, share)[0]

    def norm(self, optimizer: optim.Optimizer) -> float:
        """The root of the mean square of all ranks' norms, so that all judge a step alike."""
        squares = self.communicator.texts(repr(super().norm(optimizer) ** 2))
        return math.sqrt(sum(map(float, squares)) / self.size)

    def updated(self) -> None:
        self._alone += 1
        if self._alone == self.every:
            self.meet()

    def meet(self) -> None:
        if not self._alone:
            return
        self._alone = 0
        for number, bucket in enumerate(self.buckets):
            for parameter, view in zip(bucket.parameters, bucket.views, strict=True):
                view[...] = parameter.data
            np.subtract(self._met[number], bucket.flat, out=bucket.flat)
            self._courier.begin(all_reduce(
                self.communicator, bucket.flat, bucket.bounds, self._codecs[number], 1 + number
            ))
        self._courier.finish()
        for bucket, met, momenta in zip(self.buckets, self._met, self._momenta, strict=True):
            move = bucket.flat
            move /= self.size
            momenta *= self.momentum
            momenta += move
            met -= self.lr * (move + self.momentum * momenta)
            for parameter, view in zip(bucket.parameters, bucket.views_of(met), strict=True):
                parameter.data[...] = view
                wrote(parameter.data)

    def optimizer_state(self, optimizer: optim.Optimizer) -> Mapping[str, np.ndarray] | None:
        state = super().optimizer_state(optimizer)
        if state is None:
            return None
        momenta = self._by_parameter()
        outer = {f"{OUTER}{i}": momenta[id(p)] for i, p in enumerate(optimizer.parameters())}
        return {**state, **outer}

    def load_optimizer(
        self, optimizer: optim.Optimizer, tensors: Mapping[str, np.ndarray] | None
    ) -> None:
        super().load_optimizer(optimizer, tensors)
        momenta = self._by_parameter()
        for i, parameter in enumerate(optimizer.parameters()):
            view = momenta[id(parameter)]
            if tensors is not None:
                view[...] = tensors.get(f"{OUTER}{i}", 0)
        self.spread({f"{number:05}": flat for number, flat in enumerate(self._momenta)})
        self._note()

    def _by_parameter(self) -> dict[int, np.ndarray]:
        """id of a parameter -> its outer momentum, as a view."""
        return {
            id(parameter): view
            for bucket, flat in zip(self.buckets, self._momenta, strict=True)
            for parameter, view in zip(bucket.parameters, bucket.views_of(flat), strict=True)
        }

    def _note(self) -> None:
        """All ranks hold the same weights now: the next moves are counted from here."""
        self._alone = 0
        for bucket, met in zip(self.buckets, self._met, strict=True):
            for parameter, view in zip(bucket.parameters, bucket.views_of(met), strict=True):
                view[...] = parameter.data
