"""Waiting for a file to be saved."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

PAUSE = 0.25  # seconds between two looks


def changes(path: Path) -> Iterator[None]:
    """Once for each time that the file is saved; an editor may replace it."""
    seen = _moment(path)
    while True:
        time.sleep(PAUSE)
        now = _moment(path)
        if now != seen and now is not None:
            seen = now
            yield


def _moment(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:  # between two names
        return None
    return found.st_mtime_ns, found.st_size
