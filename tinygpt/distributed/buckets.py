"""Gradients that travel together: flat arrays of about a megabyte, begun as soon as they are full.

One message for each parameter would pay a round trip for every norm; one for all could only begin
when the last gradient is there. Parameters are taken from the last to the first, for that is the
order in which a backward pass finishes with them. The last buckets are smaller: nothing is left to
compute beside them.

After `fill` a parameter's .grad is a view of its bucket, so the sum that arrives there is its
gradient, and no second copy of the gradients stays.

Read next: courier.py, data_parallel.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from minigrad import Tensor
from tinygpt.distributed.traffic import BLOCK

BYTES, LEAST = 1 << 20, 1 << 16  # of a bucket, at least, and of the last: 9 ms at 1 Gbit/s, 0.6 ms
TAPER = 4  # a bucket holds a quarter of what is left, where that is less


class Bucket:
    """Some parameters' gradients in one flat array, each part of it owned by a rank.

    flat: (n,).  bounds: rank k owns flat[bounds[k]:bounds[k + 1]]; all are multiples of BLOCK.
    owners: the rank that owns each parameter as a whole, None where parts are cut anywhere.
    """

    def __init__(
        self, parameters: Sequence[Tensor], ranks: int, owners: Sequence[int] | None = None
    ):
        self.parameters = list(parameters)
        sizes = [parameter.data.size for parameter in self.parameters]
        if owners is None:
            each = _padded(-(-sum(sizes) // ranks))
            self.bounds = [k * each for k in range(ranks + 1)]
            starts = [0, *accumulate(sizes)]
            gaps = [(sum(sizes), self.bounds[-1])]
        else:
            own = [sum(s for s, o in zip(sizes, owners, strict=True) if o == k)
                   for k in range(ranks)]
            self.bounds = [0, *accumulate(map(_padded, own))]
            at, starts = list(self.bounds), []
            for size, owner in zip(sizes, owners, strict=True):
                starts.append(at[owner])
                at[owner] += size
            gaps = list(zip(at, self.bounds[1:], strict=False))
        self.owners, self._starts = owners, starts
        self._gaps = gaps  # where no parameter lies
        self.flat = np.zeros(self.bounds[-1], parameters[0].data.dtype)
        self.views = self.views_of(self.flat)

    def views_of(self, flat: np.ndarray) -> list[np.ndarray]:
        """Each parameter's part of an array that is laid out like `flat`, in its shape."""
        return [
            flat[start : start + parameter.data.size].reshape(parameter.data.shape)
            for parameter, start in zip(self.parameters, self._starts, strict=False)
        ]

    def clear_ends(self) -> None:
        """Zeros where no parameter lies, whatever a sum has left there."""
        for start, end in self._gaps:
            self.flat[start:end] = 0

    def fill(self, i: int) -> bool:
        """Take parameter i's gradient.  Returns whether it had one."""
        parameter, view = self.parameters[i], self.views[i]
        grad, parameter.grad = parameter.grad, view
        view[...] = 0 if grad is None else grad
        return grad is not None


def make_buckets(
    parameters: Sequence[Tensor], ranks: int, owned: bool = False, limit: int = BYTES
) -> list[Bucket]:
    """Buckets of all `parameters`, the last of them first.

    owned: give each parameter as a whole to one rank, so that all have about as much.
    """
    owners = _shared_out(parameters, ranks) if owned else {}
    buckets: list[Bucket] = []
    waiting: list[Tensor] = []
    left = sum(p.data.nbytes for p in parameters)
    for parameter in reversed(parameters):
        waiting.append(parameter)
        size = sum(p.data.nbytes for p in waiting)
        if size >= min(limit, max(LEAST, left // TAPER)) or parameter is parameters[0]:
            left -= size
            whose = [owners[id(p)] for p in waiting] if owned else None
            buckets.append(Bucket(waiting, ranks, whose))
            waiting = []
    return buckets


def _shared_out(parameters: Sequence[Tensor], ranks: int) -> dict[int, int]:
    """id of a parameter -> its owner: the largest first, to whoever has least."""
    loads, owners = [0] * ranks, {}
    for parameter in sorted(parameters, key=lambda p: -p.data.size):
        owner = loads.index(min(loads))
        owners[id(parameter)] = owner
        loads[owner] += parameter.data.size
    return owners


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
