"""How much of the server one client may have: every limit is a number here and a flag of `serve`.

A room has clients that are slow, broken or curious. What each can take (memory, a place in the
queue, time) is bounded before it is given, so that the others notice nothing.

Read next: protocol.py, where most of them are kept.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields

from tinygpt.errors import UsageError


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes, times in seconds.

    connections: open at once; one more is closed as it comes.
    head_bytes, head_seconds: of a request's first line and headers, the wait for them included.
    idle_seconds: a connection that was used waits so long for its next request.
    body_bytes, body_seconds: of a request's body, counted as it comes.
    characters: of the texts of one request, counted before any of it is made tokens.
    choices: answers that one request asks for (prompts times n).
    queue: answers that wait for a place in the batch; more are refused with 429.
    per_address: requests under way for one address; more are refused with 429.
    unread: tokens and alternatives that wait for a slow reader, who is left beyond that.
    stall_seconds: a reader that takes nothing for so long is left.
    drain_seconds: answers under way have so long once the server is told to stop.
    """

    connections: int = 1024
    head_bytes: int = 16_384
    head_seconds: float = 10.0
    idle_seconds: float = 60.0
    body_bytes: int = 1 << 20
    body_seconds: float = 30.0
    characters: int = 200_000
    choices: int = 128
    queue: int = 256
    per_address: int = 64
    unread: int = 4096
    stall_seconds: float = 30.0
    drain_seconds: float = 4.0

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if not 0 < value < 1e9:
                name = one.name.replace("_", "-")
                raise UsageError(f"--{name} is {value}. It must be above 0 and below 1e9.")


def help_of(name: str) -> str:
    """What a limit is, from the table in the docstring above."""
    for line in (Limits.__doc__ or "").splitlines():
        names, _, text = line.strip().partition(":")
        if text and name in names.split(", "):
            return text.strip()
    raise KeyError(name)


class Busy(Exception):
    """There is no place for a request now.  seconds: after which to come again."""

    def __init__(self, message: str, seconds: int = 1):
        super().__init__(message)
        self.seconds = seconds


class Places:
    """Counts what is under way, by address, and refuses what is too much."""

    def __init__(self, limits: Limits, slots: int):
        self._limits, self._room = limits, slots + limits.queue
        self.answers = 0
        self._requests: Counter[str] = Counter()

    @contextlib.contextmanager
    def taken(self, address: str, answers: int) -> Iterator[None]:
        """Room for a request while the block runs.  Raises Busy."""
        if self._requests[address] >= self._limits.per_address:
            raise Busy(
                f"{self._limits.per_address} requests from your address are under way. Wait for "
                "one of them to end."
            )
        if self.answers and self.answers + answers > self._room:
            raise Busy(f"{self.answers} answers are under way or wait. Ask again soon.")
        self._requests[address] += 1
        self.answers += answers
        try:
            yield
        finally:
            self.answers -= answers
            self._requests[address] -= 1
            self._requests += Counter()  # forgets addresses that have none
