"""A thread that moves exchanges on while the main thread computes.

    courier.begin(all_reduce(...))      at any time: a bucket is full
    courier.finish()                    when nothing more comes: wait for them all

MPI moves bytes only while somebody calls it, and the backward pass has other things to do. The
courier looks at what is on its way a thousand times a second, as long as the main thread computes,
and ten times as often once it waits; in between it sleeps. Kernels of C run without Python's lock,
so neither waits for the other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from queue import SimpleQueue

from tinygpt.distributed.communicator import NAP, Pending

BESIDE = 1e-3  # seconds between two looks beside other work; 117 kB at 1 Gbit/s are buffered
Active = tuple[Iterator[Pending], Pending]


class Courier:
    """Carries exchanges through (sums.py) until they are done."""

    def __init__(self) -> None:
        self._new: SimpleQueue[Iterator[Pending]] = SimpleQueue()
        self._left = 0  # begun and not done; the main thread's own count
        self._awaited = False
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def begin(self, steps: Iterator[Pending]) -> None:
        """Start, and carry on with, what waits between its steps."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
            self._thread.start()
        self._left += 1
        self._new.put(steps)

    def hurry(self) -> None:
        """The main thread has nothing left to compute: look often, until all is done."""
        self._awaited = True

    def finish(self) -> None:
        """Wait until all is done.  Raises what was raised on the way."""
        self.hurry()
        try:
            while self._left:
                self._left -= 1
                error = self._done.get()
                if error is not None:
                    raise error
        finally:
            self._awaited = False

    def _run(self) -> None:
        active: list[Active] = []
        while True:
            while not active or not self._new.empty():  # with nothing to do it waits here
                active += self._next(self._new.get())
            still: list[Active] = []
            for steps, pending in active:
                still += [(steps, pending)] if pending.missing() else self._next(steps)
            if len(still) == len(active):
                time.sleep(NAP if self._awaited else BESIDE)
            active = still

    def _next(self, steps: Iterator[Pending]) -> list[Active]:
        """Go on to what is waited for next; nothing when all is done."""
        try:
            return [(steps, next(steps))]
        except StopIteration:
            self._done.put(None)
        except BaseException as error:  # raised again where the main thread waits
            self._done.put(error)
        return []
