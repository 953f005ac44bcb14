"""Ctrl-C, SIGTERM, a closed terminal: the first asks to save and stop, the second to leave."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = [signal.SIGINT, signal.SIGTERM]
if hasattr(signal, "SIGHUP"):  # not on Windows
    STOPPING.append(signal.SIGHUP)
AT_ONCE = 0.5  # seconds after which a stop that is still on its way is explained


class Stopped(BaseException):
    """A signal came in work that may be cut short (StopSignals.at_once)."""


class StopSignals:
    """While the with block runs, `received` names the signal that asked us to stop.

    late: called, from another thread, if the block has not ended AT_ONCE seconds after the signal.
    Outside the main thread, where Python allows no handlers, it never asks.
    """

    def __init__(self, late: Callable[[str], object] | None = None) -> None:
        self.received: str | None = None
        self._late = late
        self._before: dict[int, object] = {}
        self._cut = False
        self._came, self._over = threading.Event(), threading.Event()

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            threading.Thread(target=self._explain, daemon=True).start()
            for number in STOPPING:
                if signal.getsignal(number) == signal.SIG_IGN:
                    continue  # nohup: whoever started us wants us to live on
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._over.set()
        self._came.set()

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """For work that may be cut short: a signal in it, or before it, raises Stopped."""
        self._cut = True
        try:
            if self.received is not None:
                raise Stopped
            yield
        finally:
            self._cut = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        self._came.set()
        if self._cut:
            raise Stopped

    def _explain(self) -> None:
        """A handler may not print: it may have interrupted a print."""
        self._came.wait()
        if not self._over.wait(AT_ONCE) and self._late is not None and self.received is not None:
            self._late(self.received)
