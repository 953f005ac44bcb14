"""Damage to GGUF files that is done to what they mean: counts, types, lengths, offsets.

The walk over a file here is the mutations' own, so that a mistake of the reader is not theirs too.

Read next: subjects.py.
"""

from __future__ import annotations

import random
import struct

WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
Place = tuple[str, int, int]  # what stands there, where, bytes


def places(data: bytes) -> list[Place]:
    """Every number and text before the tensors of a whole file."""
    found: list[Place] = [("version", 4, 4), ("count", 8, 8), ("count", 16, 8)]
    tensors, keys = struct.unpack_from("<QQ", data, 8)
    at = 24

    def take(what: str, size: int) -> int:
        nonlocal at
        found.append((what, at, size))
        at += size
        return int.from_bytes(data[at - size : at], "little")

    def text() -> None:
        length = take("length", 8)
        take("text", length)

    for _ in range(keys):
        text()
        kind = take("type", 4)
        count = 1
        if kind == 9:
            kind, count = take("type", 4), take("count", 8)
        for _ in range(count):
            text() if kind == 8 else take("value", WIDTHS[kind])
    for _ in range(tensors):
        text()
        for _ in range(take("dimensions", 4)):
            take("dimension", 8)
        take("type", 4)
        take("offset", 8)
    return found


def gguf_fields(data: bytes, chance: random.Random) -> bytes:
    """One to three numbers or texts of the header become others; nothing moves."""
    out, known = bytearray(data), places(data)
    sorts = sorted({what for what, _, _ in known})
    for _ in range(chance.choice((1, 1, 2, 3))):
        sort = chance.choice(sorts)  # a vocabulary would else take nearly all
        _, at, size = chance.choice([place for place in known if place[0] == sort])
        old = int.from_bytes(out[at : at + size], "little")
        if sort == "text":
            out[at : at + size] = chance.choice((
                bytes(size), b"\xff" * size, chance.randbytes(size), out[at : at + size][::-1],
            ))
            continue
        new = chance.choice((
            0, 1, 2, 3, old + 1, old - 1, old * 2, old ^ 1 << chance.randrange(8 * size), 32, 255,
            len(data), 1 << 31, 1 << 40, (1 << 63) + 1, -1, chance.getrandbits(64),
        ))
        out[at : at + size] = (new % (1 << 8 * size)).to_bytes(size, "little")
    return bytes(out)


def gguf_shapes(data: bytes, chance: random.Random) -> bytes:
    """Two fields of one sort change places: dimensions, offsets, types, counts."""
    out, known = bytearray(data), places(data)
    sort = chance.choice(("dimension", "offset", "type", "count", "value"))
    some = [place for place in known if place[0] == sort]
    (_, a, size), (_, b, other) = chance.choice(some), chance.choice(some)
    if size == other:
        out[a : a + size], out[b : b + size] = data[b : b + size], data[a : a + size]
    return bytes(out)


def gguf_values(data: bytes, chance: random.Random) -> bytes:
    """Weights and scales that are no numbers, or enormous ones."""
    at = chance.randrange(len(data) // 2, len(data) - 4)
    wrong = chance.choice((b"\x00\x7c\x00\x7c", b"\xff\xff\xff\xff", b"\x00\x00\xc0\x7f"))
    return data[:at] + wrong + data[at + 4 :]
