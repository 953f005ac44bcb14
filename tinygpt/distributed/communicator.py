"""Ranks that exchange bytes: one primitive, and what can be made of it.

    communicator.exchange(send, receive, channel)    to every rank an array, from every rank one

Broadcasts, barriers and sums (sums.py) are exchanges. Every rank talks with every other directly,
so if one falls silent, it is the one that all others miss: they know its name.

Who carries the bytes is another matter: mpi.py between processes, threads.py within one.

Read next: sums.py, mpi.py.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np

from tinygpt.errors import UserError

Arrays = Sequence[np.ndarray | None]
TALK = 0  # the channel of everything but sums
PIECE = 1 << 24  # bytes of a file sent at once
NAP = 1e-4  # seconds between two looks at what is on its way: 12 kB at 1 Gbit/s


class RankLost(UserError):
    """A rank does not answer; training cannot go on without it."""


class Pending(ABC):
    """An exchange on its way."""

    @abstractmethod
    def missing(self) -> list[int]:
        """Ranks with which it is not done; [] when it is.  Asking moves it on."""


class Communicator(ABC):
    """A rank's end of the lines to all others.

    rank, size: its number, and how many there are.  names: "host" of each, for messages.
    """

    rank: int
    size: int
    names: list[str]

    @abstractmethod
    def exchange(self, send: Arrays, receive: Arrays, channel: int = TALK) -> Pending:
        """Begin to send send[k] to rank k and to fill receive[k] with what rank k sends.

        Entries: contiguous arrays that stay as they are until it is done; None for nothing. Both
        ends agree on sizes. What stands at this rank's own place is not looked at.
        channel: exchanges with a rank on one channel arrive in their order; others may overtake.
        """

    def wait(self, pending: Pending, timeout: float | None = None) -> None:
        """Until an exchange is done.

        timeout: seconds, None for as long as the others are alive.
        Raises RankLost naming who does not answer.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while missing := pending.missing():
            if end is not None and time.monotonic() > end:
                raise RankLost(
                    f"{self.name(missing[0])} has not answered for {timeout:.0f} s. Is the machine "
                    "on, and does its firewall let MPI through? Start again without it, or mend it."
                )
            time.sleep(NAP)

    def finish(self, steps: Iterator[Pending]) -> None:
        """All of what waits between its steps (sums.py), one after the other."""
        for pending in steps:
            self.wait(pending)

    def name(self, rank: int) -> str:
        """A rank in words."""
        return f"rank {rank} ({self.names[rank]})"

    def others(self) -> list[int]:
        """All ranks but this."""
        return [k for k in range(self.size) if k != self.rank]

    def texts(self, text: str, timeout: float | None = None) -> list[str]:
        """What every rank says, in their order."""
        own = np.frombuffer(text.encode(), np.uint8)
        lengths = [np.zeros(1, np.int64) for _ in range(self.size)]
        said = [np.array([own.size], np.int64)] * self.size
        self.wait(self.exchange(said, lengths), timeout)
        received = [np.empty(int(length[0]), np.uint8) for length in lengths]
        received[self.rank] = own
        self.wait(self.exchange([own] * self.size, received), timeout)
        return [array.tobytes().decode() for array in received]

    def barrier(self, timeout: float | None = None) -> None:
        """Until every rank is here.  Raises RankLost naming one that is not."""
        self.texts("", timeout)

    def broadcast(self, array: np.ndarray, root: int = 0) -> None:
        """Fill `array` with the root's, everywhere."""
        if self.rank == root:
            self.wait(self.exchange([array] * self.size, [None] * self.size))
        else:
            self.receive(array, root)

    def send(self, array: np.ndarray, to: int) -> None:
        """To one rank, which receives it."""
        self.wait(self.exchange([array if k == to else None for k in range(self.size)],
                                [None] * self.size))

    def receive(self, array: np.ndarray, source: int) -> None:
        """From one rank, which sends to this or broadcasts."""
        self.wait(self.exchange([None] * self.size,
                                [array if k == source else None for k in range(self.size)]))
