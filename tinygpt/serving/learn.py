"""The book at /learn: its pages are made when they are asked for first, and kept.

Making one takes some hundredths of a second, mostly of colouring code, so it is done in a thread:
whoever is being written to does not wait.

Read next: ../book/site.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import PurePosixPath
from urllib.parse import unquote

from tinygpt.book import site
from tinygpt.serving.protocol import Connection, Request

PLACE = "/learn/"
Handler = Callable[[Request, Connection], Awaitable[None]]


def paths() -> list[str]:
    """All addresses of the book; none of them needs a key."""
    return [PLACE, PLACE.rstrip("/"), *(PLACE + address for address in site.addresses())]


def table() -> dict[str, dict[str, Handler]]:
    """Path -> method -> who answers."""
    return dict.fromkeys(paths(), {"GET": _show})


@lru_cache(maxsize=200)
def _made(address: str) -> bytes:
    return site.made(address)


async def _show(request: Request, reply: Connection) -> None:
    path = unquote(request.path)
    if path == PLACE.rstrip("/"):  # links of a page are relative to its folder
        await reply.whole(308, b"", headers=[("Location", PLACE)])
        return
    address = path.removeprefix(PLACE) or "index.html"
    content = await asyncio.get_running_loop().run_in_executor(None, _made, address)
    kind = site.KINDS[PurePosixPath(address).suffix]
    await reply.whole(200, content, kind, [("Cache-Control", "no-cache")])
