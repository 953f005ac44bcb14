"""Ctrl-C, SIGTERM, a closed terminal: the first asks to save and stop, the second to leave."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType

STOPPING = [signal.SIGINT, signal.SIGTERM]
if hasattr(signal, "SIGHUP"):  # not on Windows
    STOPPING.append(signal.SIGHUP)


class StopSignals:
    """While the with block runs, `received` names the signal that asked us to stop.

    Outside the main thread, where Python allows no handlers, it never asks.
    """

    def __init__(self, heard: Callable[[str], object] = lambda name: None) -> None:
        """heard: called with the first signal's name, in its handler."""
        self.received: str | None = None
        self._heard = heard
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in STOPPING:
                if signal.getsignal(number) == signal.SIG_IGN:
                    continue  # nohup: whoever started us wants us to live on
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        self._heard(self.received)
