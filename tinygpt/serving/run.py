"""A server from its start to the signal that ends it.

The first Ctrl-C or SIGTERM lets what is under way come to its end, the second leaves at once.

Read next: server.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable
from types import FrameType

from tinygpt.serving.limits import Limits
from tinygpt.serving.security import Gate
from tinygpt.serving.served import Served
from tinygpt.serving.server import Server


def run(
    served: dict[str, Served], gate: Gate, limits: Limits, host: str, port: int, slots: int,
    log: bool, ready: Callable[[int], object], train: bool = False,
) -> None:
    """Serve until a signal.  ready: is called with the port once clients can come.  train: whether
    pages may start and stop trainings.

    In the main thread.  Raises UserError where it cannot listen.
    """
    _allow_files(limits.connections + 64)
    asyncio.run(_run(served, gate, limits, host, port, slots, log, ready, train))


async def _run(
    served: dict[str, Served], gate: Gate, limits: Limits, host: str, port: int, slots: int,
    log: bool, ready: Callable[[int], object], train: bool,
) -> None:
    server = await Server.listen(served, gate, limits, host, port, slots, log, train)
    loop, asked = asyncio.get_running_loop(), []

    def stop(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        if len(asked) > 1:
            os._exit(130)
        loop.call_soon_threadsafe(server.stop)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    ready(server.port)
    await server.serve()


def address_of(host: str) -> str:
    """Where others find a server that listens at `host`, as it stands in an address.

    0.0.0.0 and :: are every address of this machine, and none that a phone could open.
    """
    if host in ("0.0.0.0", "::"):
        family, elsewhere = (
            (socket.AF_INET6, "2001:db8::1") if host == "::" else (socket.AF_INET, "192.0.2.1")
        )
        with socket.socket(family, socket.SOCK_DGRAM) as asked, contextlib.suppress(OSError):
            asked.connect((elsewhere, 9))  # sends nothing: the system chooses the way there
            host = asked.getsockname()[0]
    return f"[{host}]" if ":" in host else host


def _allow_files(count: int) -> None:
    """Let the process have as many connections as it allows itself, where the system agrees."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
