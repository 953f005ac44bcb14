"""Data parallel: every rank holds the model, works on its share of a step's batches, and the
gradients are added up. What comes out is one machine's step over all of them.

Gradients leave in buckets, each as soon as it is full, while the backward pass goes on. They are
added in pairs, within a rank and over all (../training/pairs.py): so 2, 4, 8 ... ranks, and any
number of ranks with one batch each, come to the sums of one process to the bit. Others come to them
within the last bits.

Source: Li et al. 2020 (buckets and overlap in PyTorch).
Read next: zero.py, which also divides the optimizer's memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from minigrad import Tensor, optim
from tinygpt.distributed.buckets import Bucket, make_buckets
from tinygpt.distributed.communicator import Communicator, Pending
from tinygpt.distributed.courier import Courier
from tinygpt.distributed.ranks import Ranks
from tinygpt.distributed.sums import Int8, Plain, all_reduce
from tinygpt.training.step import Gathered, Loss, gradients_in_pairs

Sum = Callable[..., Iterator[Pending]]


class DataParallel(Ranks):
    """Ranks that add up gradients.

    owned: whole parameters are owned by ranks (zero.py).  int8: sums travel as bytes.
    early: gradients may leave during backward; not where parts of it are run again (`recompute`
        tells of leaves too soon).
    """

    owned = False
    sum: Sum = staticmethod(all_reduce)

    def __init__(
        self, communicator: Communicator, parameters: Sequence[Tensor], *, int8: bool = False,
        early: bool = True, parts: Sequence[int] | None = None,
    ):
        super().__init__(communicator, parts)
        self.buckets = make_buckets(parameters, self.size, self.owned)
        self.codecs = [Int8(b.flat.size) if int8 else Plain() for b in self.buckets]
        self._places = {
            id(parameter): (number, i)
            for number, bucket in enumerate(self.buckets)
            for i, parameter in enumerate(bucket.parameters)
        }
        self._early, self._courier = early, Courier()

    def gradients(
        self, model: Any, batches: Sequence[Any], loss: Loss, optimizer: optim.Optimizer
    ) -> Gathered:
        share = self.share(batches)
        filling = _Filling(self)
        ready = filling.ready if self._early else None
        own = gradients_in_pairs(model, share.batches, loss, optimizer, share.whole, ready)
        reached = filling.rest()
        self._courier.hurry()
        found, said = self.together(own, share, reached="".join("01"[r] for r in reached))
        self._courier.finish()
        anywhere = [any(column == "1" for column in row)
                    for row in zip(*(one["reached"] for one in said), strict=True)]
        self._forget_untouched(anywhere)
        return found

    def begin(self, number: int) -> None:
        """A bucket is full: let it be added up."""
        bucket = self.buckets[number]
        bucket.clear_ends()
        self._courier.begin(self.sum(
            self.communicator, bucket.flat, bucket.bounds, self.codecs[number], 1 + number
        ))

    def _forget_untouched(self, reached: Sequence[bool]) -> None:
        """A parameter that no rank had a gradient for has none, as on one machine."""
        parameters = [p for bucket in self.buckets for p in bucket.parameters]
        for parameter, touched in zip(parameters, reached, strict=True):
            if not touched:
                parameter.grad = None


class _Filling:
    """The buckets of one step."""

    def __init__(self, group: DataParallel):
        self._group = group
        self._reached: list[list[bool | None]] = [[None] * len(b.parameters) for b in group.buckets]

    def ready(self, parameter: Tensor) -> None:
        """A parameter's gradient, of all this rank's batches, is whole."""
        place = self._group._places.get(id(parameter))
        if place is not None:
            self._fill(*place)

    def rest(self) -> list[bool]:
        """Fill in those nobody told of.  Returns for each parameter whether it had a gradient."""
        for number, bucket in enumerate(self._group.buckets):
            for i in range(len(bucket.parameters)):
                if self._reached[number][i] is None:
                    self._fill(number, i)
        return [bool(one) for row in self._reached for one in row]

    def _fill(self, number: int, i: int) -> None:
        bucket: Bucket = self._group.buckets[number]
        row = self._reached[number]
        row[i] = bucket.fill(i)
        if None not in row:
            self._group.begin(number)
