"""A communicator between threads of one process: to try what mpi.py does between machines.

    results = together(4, lambda communicator: communicator.texts(f"I am {communicator.rank}"))

Each message is copied when it is sent, so nothing here depends on when somebody looks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import numpy as np

from tinygpt.distributed.communicator import TALK, Arrays, Communicator, Pending

T = TypeVar("T")


class _Lines(dict[tuple[int, int, int], "SimpleQueue[np.ndarray]"]):
    """(from, to, channel) -> messages on their way; made by whoever comes first."""

    def __missing__(self, key: tuple[int, int, int]) -> SimpleQueue[np.ndarray]:
        return self.setdefault(key, SimpleQueue())  # atomic: both ends get one line


class ThreadCommunicator(Communicator):
    """One thread's end.  lines: the same object for all.  sent: bytes so far."""

    def __init__(self, rank: int, size: int, lines: _Lines):
        self.rank, self.size, self._lines = rank, size, lines
        self.names = [f"thread {k}" for k in range(size)]
        self.sent = 0

    def exchange(self, send: Arrays, receive: Arrays, channel: int = TALK) -> Pending:
        for k in self.others():
            array = send[k]
            if array is not None:
                self.sent += array.nbytes
                self._lines[self.rank, k, channel].put(array.copy())
        wanted = {k: array for k in self.others() if (array := receive[k]) is not None}
        return _Arriving({k: self._lines[k, self.rank, channel] for k in wanted}, wanted)


class _Arriving(Pending):
    def __init__(self, lines: dict[int, SimpleQueue[np.ndarray]], into: dict[int, np.ndarray]):
        self._lines, self._into = lines, into

    def missing(self) -> list[int]:
        for k in list(self._into):
            try:
                message = self._lines[k].get_nowait()
            except Empty:
                continue
            into = self._into.pop(k)
            if message.nbytes != into.nbytes:
                raise RuntimeError(f"{message.nbytes} bytes came where {into.nbytes} were expected")
            np.copyto(into.reshape(-1).view(np.uint8), message.reshape(-1).view(np.uint8))
        return list(self._into)


def together(size: int, work: Callable[[ThreadCommunicator], T]) -> list[T]:
    """work(communicator) in so many threads; their results by rank.

    Raises what the first of them raised.
    """
    lines = _Lines()
    results: list[Any] = [None] * size
    errors: list[BaseException] = []

    def run(rank: int) -> None:
        try:
            results[rank] = work(ThreadCommunicator(rank, size, lines))
        except BaseException as error:  # handed to whoever called
            errors.append(error)

    threads = [threading.Thread(target=run, args=(k,), daemon=True) for k in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive() and not errors:
            thread.join(0.05)
    if errors:
        raise errors[0]
    return results
