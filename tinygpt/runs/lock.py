"""One writer at a time: a lock on a run's folder.

Two trainings in one folder would write over each other's checkpoints and lines. So whoever writes
into a run holds a lock on the folder itself: it leaves nothing behind, and the system frees it when
the process ends, however it ends. Who only reads needs none, for what is read is replaced whole.

Some file systems (shared folders) cannot lock, and Windows locks no folders: there nothing keeps a
second writer out, and training says so.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tinygpt.errors import UserError

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

CANNOT = (
    errno.ENOLCK, errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS,
)  # what file systems answer that know no such lock (network file systems: only for files)

_held: dict[tuple[int, int], int] = {}  # (device, inode) of a locked folder -> thread that holds it


@contextmanager
def sole_writer(folder: Path) -> Iterator[bool]:
    """Keep every other writer out of `folder` while the with block runs.

    Blocks may be nested in one thread.  Yields whether this system can lock the folder.
    Raises UserError if another process or thread holds the lock, or there is no such folder.
    """
    if fcntl is None:
        yield False
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"cannot open {folder}: {error.strerror}. Is it still there?") from error
    try:
        status = os.fstat(handle)
        key, thread = (status.st_dev, status.st_ino), threading.get_ident()
        if _held.get(key) == thread:
            yield True
            return
        locked = _lock(handle, folder)
        _held[key] = thread
        try:
            yield locked
        finally:
            del _held[key]
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> bool:
    """Whether the folder could be locked.  Raises UserError if somebody else has."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError as error:
        raise UserError(
            f"{folder} is in use: another training writes into it. Wait for its end or stop it, "
            "or choose another --out."
        ) from error
    except OSError as error:
        if error.errno in CANNOT:
            return False
        raise UserError(f"cannot lock {folder}: {error.strerror}.") from error
