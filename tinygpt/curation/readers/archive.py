"""ZIP archives and the XML in them, from anybody: what both may cost is bounded.

A bomb is a small file that unpacks to a huge one; an entity bomb is a short XML text that expands
to a long one. So members are read to a limit whatever their header promises, and XML that declares
a document type is refused: office formats have none. No tree is built, so depth costs nothing.

Read next: docx.py, epub.py.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.parsers import expat

from tinygpt.storage.reading import FormatError

LARGEST = 64 << 20  # bytes of one member
ALTOGETHER = 256 << 20  # of all that is read of an archive
MEMBERS = 20_000
DEEPEST = 1000  # elements inside each other


class Archive:
    """An open ZIP archive, and how much may still be read of it."""

    def __init__(self, file: zipfile.ZipFile):
        self._file, self._left = file, ALTOGETHER
        self.names = set(file.namelist())

    def read(self, name: str) -> bytes:
        """A member.  Raises FormatError for one that is not there, damaged, or too large."""
        if name not in self.names:
            raise FormatError(f"has no {name}")
        limit = min(LARGEST, self._left)
        try:
            with self._file.open(name) as member:
                data = member.read(limit + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as e:
            raise FormatError(f"is damaged or encrypted in {name} ({e})") from None
        if len(data) > limit:
            raise FormatError(f"unpacks to more than {limit >> 20} MB in {name}: a bomb?")
        self._left -= len(data)
        return data


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """The archive of a file.  Raises FormatError for what is none, OSError."""
    try:
        file = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        raise FormatError(f"is no ZIP archive ({error})") from None
    with file:
        if len(file.infolist()) > MEMBERS:
            raise FormatError(f"has more than {MEMBERS} members")
        yield Archive(file)


def parse(
    data: bytes,
    start: Callable[[str, dict[str, str]], object],
    end: Callable[[str], object],
    text: Callable[[str], object],
) -> None:
    """Call back for each element of an XML text, by its name without a namespace.

    Raises FormatError for what is not XML, declares a document type, or is too deep.
    """
    parser: Any = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    depth = 0

    def begins(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise FormatError(f"has more than {DEEPEST} elements inside each other")
        start(_local(name), {_local(key): value for key, value in attributes.items()})

    def ends(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(_local(name))

    def doctype(*declared: object) -> None:
        raise FormatError("declares a document type, as no such format does")

    parser.StartElementHandler, parser.EndElementHandler = begins, ends
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = text, doctype
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise FormatError(f"is not XML ({error})") from None


def _local(name: str) -> str:
    return name.rpartition(" ")[2]
