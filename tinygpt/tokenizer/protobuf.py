"""As much of Protocol Buffers' wire format as a SentencePiece model needs: reading fields.

A message is a list of fields, each a varint of `number << 3 | wire type` and then its value:

    0  a varint: seven bits a byte, the lowest first, the high bit set on all but the last
    1  eight bytes          5  four bytes, little-endian
    2  a varint n, then n bytes: text, bytes or another message

Every length is checked against the bytes that are there, and nothing is copied but values.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tinygpt.tokenizer.files import TokenizerError

Value = int | bytes
VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5
_LONGEST = 10  # bytes of a varint of 64 bits


def fields(message: bytes) -> Iterator[tuple[int, Value]]:
    """(number, value) of each field in order: an int for a varint, else bytes.

    Raises TokenizerError for what is no message.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == BYTES:
            size, at = _varint(message, at)
        elif wire in (EIGHT, FOUR):
            size = 8 if wire == EIGHT else 4
        else:
            raise _damaged(f"a field at byte {at} has the unknown wire type {wire}")
        if number == 0 or size > len(message) - at:
            raise _damaged(
                f"field {number} at byte {at} of {len(message)} claims {size} bytes"
            )
        yield number, message[at : at + size]
        at += size


def as_float(value: Value) -> float:
    """A field of four bytes as a number.  Raises TokenizerError for another field."""
    if not isinstance(value, bytes) or len(value) != 4:
        raise _damaged("a number in it is no float of four bytes")
    return struct.unpack("<f", value)[0]


def as_bytes(value: Value) -> bytes:
    """A field of bytes.  Raises TokenizerError for another field."""
    if not isinstance(value, bytes):
        raise _damaged("it has a number where text belongs")
    return value


def as_int(value: Value) -> int:
    """A varint as a number.  Raises TokenizerError for another field."""
    if not isinstance(value, int):
        raise _damaged("it has text where a number belongs")
    return value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift, byte in enumerate(message[at : at + _LONGEST]):
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return value, at + shift + 1
    raise _damaged(f"a number at byte {at} of {len(message)} has no end")


def _damaged(what: str) -> TokenizerError:
    return TokenizerError(f"this is no whole SentencePiece model: {what}. Restore the file.")
