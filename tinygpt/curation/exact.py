"""What is the same to the byte: documents, and paragraphs or lines that many documents share.

A second copy of a document is dropped. A paragraph that stands in more than a few documents is
furniture (a licence, a footer, "share this page"): it stays where it comes first. One that stands
in two or three is left alone, for without it what is left of those documents is no longer alike,
and near.py could not see that they are copies.

Equality of 64 or 128 bits of BLAKE2b is taken for equality.

Read next: near.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np

UNIT = np.dtype([("hash", "<u8"), ("document", "<u4"), ("unit", "<u4")])
LINES = 1 << 31  # numbers of lines begin here, those of paragraphs at 0
BLOCK = 1 << 17  # units sorted at once, which takes 16 MB however many there are


def digest(text: str) -> bytes:
    """16 bytes that tell a document from others."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def units(text: str, break_: str, least: int) -> Iterator[tuple[int, int]]:
    """(64-bit hash, number) of each paragraph or line of at least `least` characters."""
    for number, unit in enumerate(text.split(break_)):
        if len(unit) >= least:
            hashed = hashlib.blake2b(unit.strip().encode(), digest_size=8).digest()
            yield int.from_bytes(hashed, "little"), number


def without(text: str, paragraphs: Collection[int], lines: Collection[int]) -> str:
    """A text without some of its paragraphs and lines, by their numbers in it."""
    kept, line = [], 0
    for number, paragraph in enumerate(text.split("\n\n")):
        rows = paragraph.split("\n")
        if number not in paragraphs:
            left = [row for at, row in enumerate(rows, line) if at not in lines]
            if left:
                kept.append("\n".join(left))
        line += len(rows) + 1
    return "\n\n".join(kept).strip("\n")


def first_of_equals(digests: np.ndarray) -> np.ndarray:
    """For each document the first that equals it, itself for one that is the first.

    digests: (documents, 2) uint64.  Returns (documents,) int64.
    """
    order = np.lexsort((np.arange(len(digests)), digests[:, 1], digests[:, 0]))
    ordered = digests[order]
    new = np.ones(len(digests), bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    first = np.empty(len(digests), np.int64)
    first[order] = order[new][np.cumsum(new) - 1] if len(order) else order
    return first


def furniture(
    parts: Sequence[Callable[[], np.ndarray]], firsts: np.ndarray, bases: Sequence[int],
    most: tuple[int, int],
) -> list[list[np.ndarray]]:
    """Units that stand in more than `most` documents (paragraphs, lines), but where they are first.

    parts: each gives the UNITs of a part, whose documents are numbered from its base.
    firsts: as first_of_equals gives them; copies of a document do not count.
    Returns for each part arrays of UNIT to take out.
    """
    total = sum(len(part()) for part in parts)
    rounds = max(1, -(-total // BLOCK))
    found: list[list[np.ndarray]] = [[] for _ in parts]
    for turn in range(rounds):
        chosen, owners = [], []
        for number, part in enumerate(parts):
            rows = np.asarray(part())
            rows = rows[rows["hash"] % np.uint64(rounds) == turn]
            documents = rows["document"].astype(np.int64) + bases[number]
            alive = firsts[documents] == documents
            chosen.append(rows[alive])
            owners.append(np.full(int(alive.sum()), number))
        rows, owner = np.concatenate(chosen), np.concatenate(owners)
        kind = rows["unit"] >= LINES
        order = np.lexsort((kind, rows["hash"]))  # stable: within a hash by part and document
        rows, owner = rows[order], owner[order]
        for number, gone in _shared(rows, owner, most):
            found[number].append(gone)
    return found


def _shared(
    rows: np.ndarray, owner: np.ndarray, most: tuple[int, int]
) -> Iterator[tuple[int, np.ndarray]]:
    """(part, UNITs) of the units after the first of each hash that enough documents share."""
    if not len(rows):
        return
    new = np.ones(len(rows), bool)
    kind = rows["unit"] >= LINES
    new[1:] = (rows["hash"][1:] != rows["hash"][:-1]) | (kind[1:] != kind[:-1])
    other = new.copy()  # another document than the row before, or another hash
    other[1:] |= (rows["document"][1:] != rows["document"][:-1]) | (owner[1:] != owner[:-1])
    group = np.cumsum(new) - 1
    allowed = np.where(rows["unit"] >= LINES, most[1], most[0])
    gone = (np.bincount(group, weights=other)[group] > allowed) & ~new
    for number in np.unique(owner[gone]):
        yield int(number), rows[gone & (owner == number)]
