"""Small models of SentencePiece, made by hand: the bytes of a .model, and of its rules."""

import struct

import numpy as np

from tinygpt.tokenizer.sentencepiece import (
    BYTE,
    BYTE_PIECES,
    CONTROL,
    NORMAL,
    UNKNOWN,
    USER_DEFINED,
)

SPECIAL = [("<unk>", 0.0, UNKNOWN), ("<s>", 0.0, CONTROL), ("</s>", 0.0, CONTROL)]
BYTES = [(piece, 0.0, BYTE) for piece in BYTE_PIECES]
PIECES = [
    ("▁", -3.0, NORMAL), ("a", -2.0, NORMAL), ("b", -2.5, NORMAL), ("c", -4.0, NORMAL),
    ("ab", -3.5, NORMAL), ("▁a", -2.8, NORMAL), ("abc", -5.0, NORMAL), ("aa", -3.0, NORMAL),
    ("<sep>", 0.0, USER_DEFINED),
]
ROWS = SPECIAL + PIECES


def columns(rows):
    """Pieces, scores and types."""
    return tuple(list(column) for column in zip(*rows, strict=True))


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def message(*fields):
    """(number, int or bytes or float) of each field, in the wire format."""
    out = b""
    for number, value in fields:
        if isinstance(value, float):
            out += varint(number << 3 | 5) + struct.pack("<f", value)
        elif isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def model(rows=ROWS, kind=1, trainer=(), normalizer=()):
    """The bytes of a .model."""
    pieces = [
        (1, message((1, text.encode()), (2, score), *([(3, t)] if t != NORMAL else [])))
        for text, score, t in rows
    ]
    return message(*pieces, (2, message((3, kind), *trainer)), (3, message(*normalizer)))


def charsmap(rules):
    """A precompiled charsmap: each node has a block of 256 places for its children."""
    trie = {}
    for text in rules:
        node = trie
        for byte in text.encode():
            node = node.setdefault(byte, {})
        node[None] = text
    units, texts, blocks = {0: 0}, b"", 1

    def place(at, node):
        nonlocal texts, blocks
        base, blocks = 256 * blocks, blocks + 1
        units[at] |= (at ^ base) >> 8 << 10 | 1 << 9  # offsets count in steps of 256
        base += at & 0xFF
        if None in node:
            units[at] |= 1 << 8
            units[base] = 1 << 31 | len(texts)
            texts += rules[node.pop(None)].encode() + b"\0"
        units.update({base ^ byte: byte for byte in node})
        for byte, child in node.items():
            place(base ^ byte, child)

    place(0, trie)
    array = np.zeros(max(units) + 1, "<u4")
    array[list(units)] = list(units.values())
    blob = array.tobytes()
    return len(blob).to_bytes(4, "little") + blob + texts
