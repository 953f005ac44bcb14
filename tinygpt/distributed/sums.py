"""Sums over ranks, in their two halves: reduce-scatter and all-gather (traffic.py says why).

Each function begins an exchange, yields it, and goes on when it is done. So many of them can be on
their way at once (courier.py), beside a backward pass; communicator.finish does one at a time.

The owner of a part adds in pairs of neighbours (../training/pairs.py), whoever answers first: the
same numbers give the same bits, on every run, and the same at all ranks, for the owner alone
computes a sum.

How values travel is a codec's business: Plain sends float32 as it is, Int8 a byte for each.

Read next: buckets.py, courier.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tinygpt.distributed.communicator import Communicator, Pending
from tinygpt.distributed.traffic import BLOCK
from tinygpt.training.pairs import halves

Bounds = Sequence[int]  # part k of an array is [bounds[k]:bounds[k + 1]] and belongs to rank k


class Plain:
    """Values as they are."""

    def outgoing(self, flat: np.ndarray, bounds: Bounds, rank: int) -> list[np.ndarray]:
        """The parts of what is to be added up, as they travel."""
        return [flat[a:b] for a, b in zip(bounds, bounds[1:], strict=False)]

    def summed(self, part: np.ndarray) -> np.ndarray:
        """An owned part, added up, as it travels."""
        return part

    def room(self, part: np.ndarray) -> np.ndarray:
        """Where such a part can arrive."""
        return np.empty_like(part)

    def place(self, part: np.ndarray) -> np.ndarray:
        """The same, where `part` itself is not needed any more: values arrive in it."""
        return part

    def decode(self, message: np.ndarray, part: np.ndarray) -> np.ndarray:
        """The values that came for `part`."""
        return message


class Int8(Plain):
    """A byte a value, and what rounding leaves over is not lost but sent with the next sum.

    Each block of BLOCK values has a scale, its largest magnitude / 127. The difference between a
    value and its code is kept, and added before the next is coded (error feedback: Seide et al.
    2014, Karimireddy et al. 2019): over many steps what arrives is what was meant. There are two
    places where rounding happens, so there are two memories; together 4 bytes a value.
    """

    def __init__(self, size: int) -> None:
        """size: values of the whole array; parts begin at multiples of BLOCK."""
        self.left_over = np.zeros(size, np.float32)  # of what this rank sent, and what it owns

    def outgoing(self, flat: np.ndarray, bounds: Bounds, rank: int) -> list[np.ndarray]:
        messages = []
        for k, (a, b) in enumerate(zip(bounds, bounds[1:], strict=False)):
            part, kept = flat[a:b], self.left_over[a:b]
            if k == rank:  # it does not travel
                self._owned = kept
                messages.append(part)
                continue
            messages.append(self._encode(part, kept))
        return messages

    def summed(self, part: np.ndarray) -> np.ndarray:
        return self._encode(part, self._owned)

    def room(self, part: np.ndarray) -> np.ndarray:
        return np.empty(part.size + 4 * (part.size // BLOCK), np.uint8)

    place = room

    def decode(self, message: np.ndarray, part: np.ndarray) -> np.ndarray:
        return decode(message, part.size)

    def _encode(self, part: np.ndarray, kept: np.ndarray) -> np.ndarray:
        np.add(part, kept, out=kept)
        message = encode(kept)
        kept -= decode(message, part.size)
        lost = np.isnan(_scales(message, part.size))
        if lost.any():  # a bad step is thrown away, and must not come back with the next
            kept.reshape(-1, BLOCK)[lost] = 0
        return message


def encode(values: np.ndarray) -> np.ndarray:
    """(n,) float32, n a multiple of BLOCK -> bytes: n codes, then a float32 scale for each block.

    A block that holds what is no finite number decodes to NaN: nobody takes it for a gradient.
    """
    blocks = values.reshape(-1, BLOCK)
    scales = np.abs(blocks).max(axis=1) / np.float32(127)
    finite = np.isfinite(scales)
    divisors = np.where(finite & (scales > 0), scales, np.float32(1))
    steps = blocks if finite.all() else np.where(finite[:, None], blocks, np.float32(1))
    codes = np.rint(steps / divisors[:, None]).astype(np.int8)
    scales = np.where(finite, scales, np.float32(np.nan))
    return np.concatenate([codes.reshape(-1).view(np.uint8), scales.view(np.uint8)])


def decode(message: np.ndarray, size: int) -> np.ndarray:
    """The (size,) float32 that `encode` made these bytes of, each within half a scale."""
    codes = message[:size].view(np.int8).reshape(-1, BLOCK)
    return (codes * _scales(message, size)[:, None]).reshape(-1)


def _scales(message: np.ndarray, size: int) -> np.ndarray:
    return message[size:].view(np.float32)


def reduce_scatter(
    communicator: Communicator, flat: np.ndarray, bounds: Bounds, codec: Plain, channel: int
) -> Iterator[Pending]:
    """Add up all ranks' `flat`: afterwards this rank's part of it holds the sum.

    The other parts are left as they were.
    """
    rank = communicator.rank
    mine = flat[bounds[rank] : bounds[rank + 1]]
    sent = codec.outgoing(flat, bounds, rank)
    received = [codec.room(mine) for _ in range(communicator.size)]
    yield communicator.exchange(sent, received, channel)
    added = [mine if k == rank else codec.decode(received[k], mine) for k in range(len(received))]
    _in_pairs(added, mine)


def _in_pairs(arrays: Sequence[np.ndarray], out: np.ndarray | None = None) -> np.ndarray:
    """Their sum, in the order of training/pairs.py.  out: where it is put, which may be one of two
    or more arrays."""
    if len(arrays) == 1:
        return arrays[0]
    left = halves(len(arrays))[0]
    return np.add(_in_pairs(arrays[:left]), _in_pairs(arrays[left:]), out=out)


def all_gather(
    communicator: Communicator, flat: np.ndarray, bounds: Bounds, codec: Plain, channel: int
) -> Iterator[Pending]:
    """Every rank's own part of `flat` to everybody."""
    rank = communicator.rank
    parts = [flat[a:b] for a, b in zip(bounds, bounds[1:], strict=False)]
    own = codec.summed(parts[rank])
    received = [codec.place(part) for part in parts]
    yield communicator.exchange([own] * communicator.size, received, channel)
    received[rank] = own  # all decode the same bytes, the owner too
    for part, message in zip(parts, received, strict=True):
        if part.size and message is not part:
            part[:] = codec.decode(message, part)


def all_reduce(
    communicator: Communicator, flat: np.ndarray, bounds: Bounds, codec: Plain, channel: int
) -> Iterator[Pending]:
    """Add up all ranks' `flat`, everywhere the same bits."""
    yield from reduce_scatter(communicator, flat, bounds, codec, channel)
    yield from all_gather(communicator, flat, bounds, codec, channel)
