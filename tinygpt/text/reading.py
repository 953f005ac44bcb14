r"""From the bytes of a text to its characters: one place, so that what one command reads all do.

    UTF-8                 with a byte order mark or without
    UTF-16, UTF-32        with a byte order mark
    "\r\n"                becomes "\n"; the byte order mark is dropped; the rest is the author's

Anything else is refused: an archive by its name, UTF-16 without a mark and the 8-bit encodings with
the command that converts them. A guess would train a model on letters that nobody wrote.

Read next: corpus.py.
"""

from __future__ import annotations

import codecs
import contextlib
import itertools
import re
import shlex
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from tinygpt.text.files import DataError, TextFile, one_file, unreadable

PIECE = 4 << 20  # bytes read at a time
HEAD = 1 << 16  # bytes looked at to tell what a file is
LINE = re.compile(rb"(?<=\n)(?=[A-Za-z])")

MARKS = (  # UTF-32's begins as UTF-16's does
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"), (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
ARCHIVES = (
    (b"\x1f\x8b", "packed by gzip", "Unpack it with `gzip -d`."),
    (b"BZh", "packed by bzip2", "Unpack it with `bzip2 -d`."),
    (b"\xfd7zXZ\0", "packed by xz", "Unpack it with `xz -d`."),
    (b"\x28\xb5\x2f\xfd", "packed by zstd", "Unpack it with `zstd -d`."),
    (b"PK\x03\x04", "a ZIP archive, as .docx, .odt and .epub are", "Save it as plain text."),
    (b"%PDF-", "a PDF", "Save it as plain text, as `pdftotext` does."),
)
CONTROLS = bytes(c for c in range(32) if c not in b"\t\n\v\f\r\x1b")  # those that no text has
NOT_CP1252 = b"\x81\x8d\x8f\x90\x9d"


def read_text(given: str | Path) -> str:
    """All of a file, a pipe or standard input ("-").  Raises DataError."""
    return "".join(pieces(one_file(given)))


def pieces(
    file: TextFile, errors: str | None = None, size: int | None = None
) -> Iterator[str]:
    """The text of a file in pieces that end at line ends (or between characters).

    size: bytes in a piece, about; None is PIECE.
    errors: for bytes that are not of its encoding: "strict" raises, "replace" puts U+FFFD; None
        raises too, where the reader of the message has no such choice.
    Raises DataError with the file and the offset of the first such byte.
    """
    offset, blocks = _utf8_blocks(file, errors or "strict", size)
    rest, block = b"", next(blocks, None)
    while block is not None:
        following = next(blocks, None)
        data = rest + block
        cut = len(data) if following is None else _last_break(data)
        try:
            text = data[:cut].decode("utf-8", errors or "strict")
        except UnicodeDecodeError as error:
            choice = "" if errors is None else (
                " Or let --set data.errors=replace put U+FFFD in the place of such bytes."
            )
            raise DataError(_not_utf8(file.label, data, error.start, offset) + choice) from None
        offset, rest = offset + cut, data[cut:]
        if text:
            yield text.replace("\r\n", "\n")
        block = following


def lines(stream: BinaryIO, label: str) -> Iterator[str]:
    """The lines of a conversation, each as soon as it has come, without their ends."""
    decoder, offset, rest = None, 0, ""
    for data in itertools.chain(iter(stream.readline, b""), [b""]):
        if decoder is None:
            mark, encoding = encoding_of(data, label)
            decoder = codecs.getincrementaldecoder(encoding)()
            data, offset = data[len(mark) :], len(mark)
        try:
            rest += decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            raise DataError(_not_utf8(label, error.object, error.start, offset)) from None
        offset += len(data)
        *whole, rest = rest.split("\n")  # a line in UTF-16 lacks its last byte until the next one
        yield from (line.removesuffix("\r") for line in whole)
    if rest:
        yield rest


class Reader:
    """Blocks of bytes as a stream, for those who read by the megabyte."""

    def __init__(self, blocks: Iterator[bytes]):
        self._blocks, self._rest = blocks, b""

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, fewer at the end; all that are left if it is negative."""
        parts, have = [self._rest], len(self._rest)
        while size < 0 or have < size:
            block = next(self._blocks, None)
            if block is None:
                break
            parts.append(block)
            have += len(block)
        data = b"".join(parts)
        size = have if size < 0 else size
        self._rest = data[size:]
        return data[:size]


def kept(file: TextFile) -> TextFile:
    """The same text as a file that can be read again: what comes through a pipe is copied to one.

    The copy goes when the last who holds it does.  Raises DataError.
    """
    if not file.is_stream:
        return file
    blocks = raw_blocks(file)
    first = next(blocks, b"")
    encoding_of(first, file.label)  # before the disk is filled with what is no text
    folder = tempfile.gettempdir()
    try:
        handle, name = tempfile.mkstemp(prefix="tinygpt-", dir=folder)
        copy = replace(file, path=Path(name))
        weakref.finalize(copy, Path(name).unlink, missing_ok=True)
        with open(handle, "wb") as out:
            for block in itertools.chain([first], blocks):
                out.write(block)
    except OSError as error:
        raise DataError(
            f"cannot keep {file.label} in {folder}: {error.strerror or error}. Make room there, or "
            "set TMPDIR to a folder on a larger disk."
        ) from None
    return copy


def raw_blocks(file: TextFile, size: int | None = None) -> Iterator[bytes]:
    """The bytes of a file as they are, `size` (None: PIECE) at a time.  Raises DataError."""
    try:
        stream = file.open()
        with contextlib.nullcontext() if file.path is None else stream:
            while block := stream.read(size or PIECE):
                yield block
    except OSError as error:
        raise unreadable(file.label, error) from None


def _utf8_blocks(
    file: TextFile, errors: str, size: int | None
) -> tuple[int, Iterator[bytes]]:
    """(length of the byte order mark, the bytes after it in UTF-8)."""
    blocks = raw_blocks(file, size)
    first = next(blocks, b"")
    mark, encoding = encoding_of(first, file.label)
    blocks = itertools.chain([first[len(mark) :]], blocks)
    if encoding != "utf-8":
        blocks = _transcoded(blocks, encoding, errors, file.label)
    return len(mark), blocks


def _transcoded(
    blocks: Iterator[bytes], encoding: str, errors: str, label: str
) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    try:
        for block in blocks:
            yield decoder.decode(block).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{label} begins as {encoding.upper()} does and is not all of it ({error.reason}). "
            "Restore the file, or save it as UTF-8."
        ) from None


def _last_break(data: bytes) -> int:
    """The latest place where `data` can be cut: before a line that starts with a letter, where
    every known BPE pattern cuts too; else after a line end; else before a character."""
    for start in (max(0, len(data) - 4096), 0):
        cut = max((match.start() for match in LINE.finditer(data, start)), default=0)
        if cut:
            return cut
    newline = data.rfind(b"\n") + 1
    if newline:
        return newline
    cut = len(data)
    while cut > max(0, len(data) - 4) and (data[cut - 1] & 0xC0) == 0x80:
        cut -= 1  # back over continuation bytes to their first byte
    return max(0, cut - 1)


# --- What a file is, and what is to be done about it ---------------------------------------------


def encoding_of(start: bytes, label: str) -> tuple[bytes, str]:
    """(byte order mark, encoding) of a text that begins with `start`.

    Raises DataError for an archive, for UTF-16 or UTF-32 without a mark, and for what is no text.
    """
    head = start[:HEAD]
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return mark, encoding
    for magic, what, advice in ARCHIVES:
        if head.startswith(magic):
            raise DataError(f"{label} is {what}, not a text. {advice}")
    zeros = wide(head)
    if zeros:
        raise DataError(
            f"{label} looks like {zeros} without a byte order mark. "
            f"Convert it: {_iconv(zeros, label)}"
        )
    if controls(head) > 0.1:
        raise DataError(f"{label} is binary, not a text. Give a file of plain text.")
    return b"", "utf-8"


def controls(data: bytes) -> float:
    """Share of bytes that no text has."""
    return (len(data) - len(data.translate(None, CONTROLS))) / max(1, len(data))


def wide(head: bytes) -> str:
    """The wide encoding whose zeros lie as in `head`, "" for none.

    Spaces, line ends and Latin letters have a zero for their high byte, and no text has a low one.
    In four bytes the highest is zero always, the next nearly so.
    """
    for name, width, low, rare, high in (
        ("UTF-32LE", 4, 0, 2, 3), ("UTF-32BE", 4, 3, 1, 0),
        ("UTF-16LE", 2, 0, 1, 1), ("UTF-16BE", 2, 1, 0, 0),
    ):
        units = len(head) // width
        zeros = [head[at : units * width : width].count(0) for at in (low, rare, high)]
        least = units if width == 4 else units / 10
        if units and zeros[0] == 0 and zeros[1] >= units / 10 and zeros[2] >= least:
            return name
    return ""


def _not_utf8(label: str, data: bytes, start: int, offset: int) -> str:
    """What is wrong with a byte of `data`, which begins at `offset` of its file, and what helps."""
    what = f"{label} is not UTF-8: byte 0x{data[start]:02x} at offset {offset + start}."
    if b"\0" in data or controls(data) > 0.01:
        return (
            f"{what} It holds bytes that no text has: it is binary, or UTF-16 without a byte order "
            f"mark ({_iconv('UTF-16LE', label)})."
        )
    if any(byte >= 0x80 for byte in data[:start]):  # characters of several bytes before it
        return (
            f"{what} What stands before it is, so the file is damaged. Drop what is not: "
            f"{_iconv('UTF-8', label, '-c ')}."
        )
    guess = _eight_bits(data)
    if guess:
        return f"{what} It looks like {guess}. Convert it: {_iconv(guess, label)}."
    return (
        f"{what} Convert it, naming its encoding after -f (`iconv -l` lists them); if it is "
        f"Russian: {_iconv('WINDOWS-1251', label)}."
    )


def _eight_bits(data: bytes) -> str:
    """The encoding of a text in Latin letters, "" for another alphabet."""
    high = data.translate(None, bytes(range(128)))
    if len(high) > max(16, 0.3 * len(data)) or any(byte in NOT_CP1252 for byte in high):
        return ""
    return "WINDOWS-1252" if any(byte < 0xA0 for byte in high) else "ISO-8859-1"


def _iconv(encoding: str, label: str, option: str = "") -> str:
    name = "FILE" if label == "standard input" else shlex.quote(label)
    return f"`iconv {option}-f {encoding} -t UTF-8 {name} > utf8.txt`"
