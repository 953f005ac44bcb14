"""What a text may be: a grammar over bytes.

Four ways to put a form together, and a name for what refers to itself:

    Bytes({..})       one byte of a set
    Sequence(a, b)    a, then b
    Choice(a, b)      a or b
    Repeat(a, 2, 5)   a two to five times; without an end where the last is None
    Rule("value")     what that name stands for in the grammar's rules

Without rules that is a regular expression; with them a JSON value can hold JSON values. Bytes and
not characters, because a token of a byte-level vocabulary may end within a character.

Read next: regex.py, schema.py (which make grammars), automaton.py (which follows one).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tinygpt.errors import UserError

MOST_REPEATS = 1000  # each is a copy of what is repeated
MOST_DEPTH = 64  # of groups in groups, of schemas in schemas
Ranges = tuple[tuple[int, int], ...]  # of code points, both ends included
SURROGATES = (0xD800, 0xDFFF)  # code points that no UTF-8 has
LAST = 0x10FFFF


class FormError(UserError, ValueError):
    """A form that cannot be promised: what of it is outside the subset that is known here."""

    exit_code = 2


@dataclass(frozen=True)
class Bytes:
    """One byte of a set."""

    allowed: frozenset[int]


@dataclass(frozen=True)
class Sequence:
    """One part after the other; of no parts: nothing, which always fits."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Choice:
    """One of several; of none: what nothing fits."""

    options: tuple[Node, ...]


@dataclass(frozen=True)
class Repeat:
    """A part `least` to `most` times."""

    part: Node
    least: int
    most: int | None


@dataclass(frozen=True)
class Rule:
    """What a name stands for."""

    name: str


Node = Bytes | Sequence | Choice | Repeat | Rule


@dataclass(frozen=True)
class Grammar:
    """Names and what they stand for; a text is what "start" stands for."""

    rules: Mapping[str, Node]


def seq(*parts: Node) -> Node:
    return Sequence(parts)


def either(*options: Node) -> Node:
    return options[0] if len(options) == 1 else Choice(options)


def repeat(part: Node, least: int, most: int | None) -> Node:
    """Raises FormError for more copies than MOST_REPEATS."""
    if max(least, most or 0) > MOST_REPEATS:
        raise FormError(
            f"something is to be repeated {max(least, most or 0):,} times. At most "
            f"{MOST_REPEATS:,} can be counted; leave the end open instead."
        )
    return Repeat(part, least, most)


def text(literal: str) -> Node:
    """Just this text."""
    return seq(*(Bytes(frozenset({byte})) for byte in literal.encode()))


def utf8(ranges: Ranges) -> Node:
    """One character whose code point is in one of the ranges, in UTF-8.

    A range becomes a few sequences of byte ranges: those of one length whose upper bytes agree
    differ in the last byte alone.
    """
    return either(*(
        seq(*(Bytes(frozenset(range(a, b + 1))) for a, b in zip(low, high, strict=True)))
        for start, end in ranges
        for low, high in _byte_ranges(start, end)
    ))


def _byte_ranges(start: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    """Pairs of equally long spellings, between which each byte runs over a range of its own."""
    low, high = SURROGATES
    if start <= high and end >= low:  # around the surrogates
        if start < low:
            yield from _byte_ranges(start, low - 1)
        if end > high:
            yield from _byte_ranges(high + 1, end)
        return
    for last in (0x7F, 0x7FF, 0xFFFF):  # where spellings get longer
        if start <= last < end:
            yield from _byte_ranges(start, last)
            yield from _byte_ranges(last + 1, end)
            return
    for bits in (6, 12, 18):  # where an upper byte changes, the lower ones run from end to end
        below = (1 << bits) - 1
        if start >> bits != end >> bits:
            if start & below:
                yield from _byte_ranges(start, start | below)
                yield from _byte_ranges((start | below) + 1, end)
                return
            if end & below != below:
                yield from _byte_ranges(start, (end & ~below) - 1)
                yield from _byte_ranges(end & ~below, end)
                return
    yield chr(start).encode(), chr(end).encode()


def united(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """The same code points in ascending ranges that do not touch."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return tuple(merged)


def without(ranges: Iterable[tuple[int, int]], holes: Iterable[tuple[int, int]]) -> Ranges:
    """The code points of `ranges` that are in none of `holes`."""
    return tuple(_others([*_others(ranges), *holes]))


def _others(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The code points that are in none of the ranges."""
    at = 0
    for start, end in united(ranges):
        if start > at:
            yield at, start - 1
        at = end + 1
    if at <= LAST:
        yield at, LAST
