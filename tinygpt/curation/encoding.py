"""From bytes of unknown encoding to characters, and which encoding it was taken for.

A text that is trained on as it is (../text/reading.py) is refused unless its encoding is certain. A
folder of ten thousand old files has no one to convert them, so here the last resort is a guess, and
each guess is written into the account:

    a byte order mark       what it says
    UTF-8 that is valid     "utf-8"
    zeros as UTF-16 has     "utf-16-le", "utf-16-be" (and the same for UTF-32)
    other binary bytes      refused
    anything else           "cp1252", a superset of Latin-1; its five holes become U+FFFD

Read next: readers/__init__.py.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from typing import BinaryIO

from tinygpt.storage.reading import FormatError
from tinygpt.text.reading import HEAD, MARKS, PIECE, controls, wide

WIDE = {
    "UTF-16LE": "utf-16-le", "UTF-16BE": "utf-16-be", "UTF-32LE": "utf-32-le",
    "UTF-32BE": "utf-32-be",
}
GUESS = "cp1252"
BINARY = 0.02  # share of bytes that no text has


def encoding_of(opened: Callable[[], BinaryIO]) -> tuple[str, int]:
    """(encoding, bytes of its mark) of what `opened()` reads.

    All of it is read: a byte that is not UTF-8 may stand at the end.
    Raises FormatError for what is no text.
    """
    with opened() as stream:
        head = stream.read(HEAD)
        for mark, name in MARKS:
            if head.startswith(mark):
                return name, len(mark)
        zeros = wide(head)
        if zeros:
            return WIDE[zeros], 0
        if controls(head) > BINARY:
            raise FormatError("is binary, not a text")
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while head:
                decoder.decode(head)
                head = stream.read(PIECE)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return GUESS, 0
    return "utf-8", 0


def decoded(opened: Callable[[], BinaryIO], encoding: str, mark: int) -> Iterator[str]:
    """The characters of what `opened()` reads, some megabytes at a time, "\\r\\n" as "\\n"."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    with opened() as stream:
        stream.read(mark)
        held = ""  # a "\r" whose "\n" may be in the next block
        while block := stream.read(PIECE):
            text = held + decoder.decode(block)
            held = "\r" if text.endswith("\r") else ""
            yield text.removesuffix("\r").replace("\r\n", "\n").replace("\r", "\n")
        yield held.replace("\r", "\n") + decoder.decode(b"", final=True)
