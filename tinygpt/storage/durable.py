"""Writing that survives a power cut, and logs that survive a full disk.

A file is safe when its bytes are on the disk (fsync of the file) and its name is too (fsync of the
folder). Replacing a file means writing another one beside it and renaming: readers see the old or
the new one, never half of either.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HELD = 1 << 18  # bytes of small writes that wait for others: calls of the system cost time


class DurableFile:
    """A new file that is on the disk when the with block ends; hashes what passes through.

    Raises OSError from any write or close.
    """

    def __init__(self, path: Path):
        self.size = 0
        self._held = bytearray()
        self._digest = hashlib.sha256()
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _BINARY, 0o644)

    def __enter__(self) -> DurableFile:
        return self

    def write(self, content: bytes | memoryview) -> None:
        """Append all of `content`."""
        self._digest.update(content)
        self.size += len(content)
        if len(self._held) + len(content) > HELD:
            self._put(self._held)
            self._held = bytearray()
        if len(content) > HELD:
            self._put(content)
        else:
            self._held += content

    def _put(self, content: bytes | bytearray | memoryview) -> None:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(self._handle, rest[: 1 << 24]) :]

    def close(self) -> None:
        """Put all of it on the disk."""
        try:
            self._put(self._held)
            os.fsync(self._handle)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a device or a pipe, which has no disk
                raise
        finally:
            os.close(self._handle)

    def __exit__(self, kind: object, *error: object) -> None:
        if kind is None:
            self.close()
        else:
            os.close(self._handle)

    def summary(self) -> dict[str, Any]:
        """{"bytes": size, "sha256": hexadecimal digest} of what was written."""
        return {"bytes": self.size, "sha256": self._digest.hexdigest()}


_BINARY = getattr(os, "O_BINARY", 0)  # Windows would translate line ends


def flush_folder(folder: Path) -> None:
    """Put the names in a folder on the disk, where the system can do that for folders.

    Windows cannot open one; CIFS and folders shared with a virtual machine refuse to flush one
    (EINVAL, ENOTSUP, EBADF). A disk that fails (EIO) is an error anywhere.
    """
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(handle)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[DurableFile]:
    """A file to write that takes the place of `path` when the with block ends well.

    Atomic and durable; if anything fails, `path` is as it was.  A link stays, what it leads to is
    replaced; a device or a pipe (/dev/null) is written into.  Raises OSError.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        with DurableFile(path) as file:
            yield file
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        with DurableFile(draft) as file:
            yield file
        os.replace(draft, path)
        flush_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise


def replace_file(path: Path, content: str) -> None:
    """Make `path` hold `content` (UTF-8), atomically and durably.  Raises OSError."""
    with replacing(path) as file:
        file.write(content.encode())


class AppendLog:
    """A text file that grows line by line; a disk that refuses is mentioned once, not fatal.

    path: opened for appending at each line, so that it may be moved or deleted meanwhile.
    warn: called with a sentence at the first failure of a series.
    """

    def __init__(self, path: Path, warn: Callable[[str], object]):
        self.path, self.warn, self._failing = path, warn, False

    def line(self, text: str) -> None:
        """Append one line, whole or not at all as far as the system allows."""
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _BINARY, 0o644)
            try:
                os.write(handle, text.encode() + b"\n")
            finally:
                os.close(handle)
            self._failing = False
        except OSError as error:
            if not self._failing:
                self._failing = True
                self.warn(f"cannot write {self.path} ({error.strerror}); training goes on")
