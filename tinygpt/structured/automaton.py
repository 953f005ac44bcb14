"""Which byte may come next: a grammar followed from left to right.

A *place* is somewhere in a rule. Where we are is a place, and below it those to return to when its
rule is done: (place in a string, place in the object that it is a value of, ...). As a text may be
in several such places at once (is `1` the whole number or the first digit?), a *state* is a set of
them; states are made when they are first met, and then have a number and a row: for each byte the
number of the state after it, 0 where it does not fit. (The subset construction of Rabin and Scott
1959, over stacks and as far as needed: without rules there are finitely many states, and with them
as many as texts are deep.)

Each state knows how far it is from an end: the fewest bytes that make a whole of what was written.

Read next: constraint.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from tinygpt.structured.grammar import (
    Bytes,
    Choice,
    FormError,
    Grammar,
    Node,
    Repeat,
    Rule,
    Sequence,
)

DEAD, FAR = 0, 1 << 30
Stack = tuple[int, ...]  # a place, and those to return to, the next one first; () is the end


@dataclass
class _Place:
    """Ways on from a place: by a byte, by nothing, through a rule."""

    bytes: list[tuple[frozenset[int], int]] = field(default_factory=list)
    nothing: list[int] = field(default_factory=list)
    calls: list[tuple[str, int]] = field(default_factory=list)
    end: bool = False  # of its rule
    distance: int = FAR  # bytes to the end of its rule


class Automaton:
    """A grammar's states, numbered from 1 as they are met; 0 is where nothing fits.

    writable: bytes that can be written alone; None: all. Distances count only these.
    Raises FormError for a rule that begins with itself, and for a form that cannot be written.
    """

    start = 1

    def __init__(self, grammar: Grammar, writable: Iterable[int] | None = None):
        self._places: list[_Place] = []
        self._entry: dict[str, int] = {name: self._new() for name in grammar.rules}
        for name, node in grammar.rules.items():
            self._places[self._build(node, self._entry[name])].end = True
        self._refuse_left_recursion()
        self._measure(frozenset(range(256) if writable is None else writable))
        self._number: dict[frozenset[Stack], int] = {frozenset(): DEAD}
        self._stacks: list[frozenset[Stack]] = [frozenset()]
        self._rows: list[np.ndarray | None] = [np.zeros(256, np.int32)]
        self._distances = [FAR]
        self._state(frozenset({(self._entry["start"],)}))
        if self.distance(self.start) >= FAR:
            raise FormError(
                "no text of this form can be written with the model's vocabulary. Ask for "
                "another form."
            )

    def row(self, state: int) -> np.ndarray:
        """(256,) int32: the state after each byte."""
        row = self._rows[state]
        if row is None:
            row = self._rows[state] = self._make_row(self._stacks[state])
        return row

    def distance(self, state: int) -> int:
        """The fewest bytes that make what was written whole: 0 where it is; FAR: never."""
        return self._distances[state]

    def distances(self, states: np.ndarray) -> np.ndarray:
        """`distance` of each, int32."""
        return np.array(self._distances, np.int32)[states]

    # --- From a grammar to places ----------------------------------------------------------------

    def _new(self) -> int:
        self._places.append(_Place())
        return len(self._places) - 1

    def _build(self, node: Node, at: int) -> int:
        """The place after `node`, which begins at `at`."""
        if isinstance(node, Sequence):
            for part in node.parts:
                at = self._build(part, at)
            return at
        if isinstance(node, Repeat):
            return self._build_repeat(node, at)
        after = self._new()
        if isinstance(node, Bytes):
            self._places[at].bytes.append((node.allowed, after))
        elif isinstance(node, Rule):
            self._places[at].calls.append((node.name, after))
        elif isinstance(node, Choice):
            for option in node.options:
                begin = self._new()
                self._places[at].nothing.append(begin)
                self._places[self._build(option, begin)].nothing.append(after)
        return after

    def _build_repeat(self, node: Repeat, at: int) -> int:
        for _ in range(node.least):
            at = self._build(node.part, at)
        if node.most is None:
            loop = self._new()
            self._places[at].nothing.append(loop)
            self._places[self._build(node.part, loop)].nothing.append(loop)
            after = self._new()
            self._places[loop].nothing.append(after)
            return after
        after = self._new()
        for _ in range(node.most - node.least):
            self._places[at].nothing.append(after)
            at = self._build(node.part, at)
        self._places[at].nothing.append(after)
        return after

    def _refuse_left_recursion(self) -> None:
        """Raise FormError where a rule is entered anew before a byte was read."""
        begins = {name: self._called_at_once(place) for name, place in self._entry.items()}
        for name in begins:
            met, todo = set(), list(begins[name])
            while todo:
                called = todo.pop()
                if called == name:
                    raise FormError(
                        f"{name} begins with itself, so that no byte of it could ever be written. "
                        "Put something before it."
                    )
                if called not in met:
                    met.add(called)
                    todo += begins[called]

    def _called_at_once(self, place: int) -> set[str]:
        called: set[str] = set()
        met, todo = {place}, [place]
        while todo:
            here = self._places[todo.pop()]
            # What follows a rule that may be empty counts too; that it may be is not asked.
            reached = [*here.nothing, *(after for _, after in here.calls)]
            called.update(name for name, _ in here.calls)
            todo += [place for place in reached if place not in met]
            met.update(reached)
        return called

    def _measure(self, writable: frozenset[int]) -> None:
        """Distances of all places: shorter ones are found until there are none."""
        for place in self._places:
            place.distance = 0 if place.end else FAR
        changed = True
        while changed:
            changed = False
            for place in reversed(self._places):
                ways = [1 + self._places[to].distance for of, to in place.bytes if of & writable]
                ways += [self._places[to].distance for to in place.nothing]
                ways += [self._places[self._entry[name]].distance + self._places[to].distance
                         for name, to in place.calls]
                shortest = min([place.distance, *ways])
                if shortest < place.distance:
                    place.distance, changed = shortest, True

    # --- From places to states -------------------------------------------------------------------

    def _state(self, stacks: frozenset[Stack]) -> int:
        """The number of the state that these stacks lead to without reading."""
        closed = self._closed(stacks)
        number = self._number.get(closed)
        if number is None:
            number = self._number[closed] = len(self._stacks)
            self._stacks.append(closed)
            self._rows.append(None)
            self._distances.append(min(
                min(FAR, sum(self._places[place].distance for place in stack)) for stack in closed
            ))
        return number

    def _closed(self, stacks: Iterable[Stack]) -> frozenset[Stack]:
        """What is reached by nothing, by entering rules and by leaving them, where a byte is
        read or the text ends."""
        met = set(stacks)
        todo, kept = list(met), set()
        while todo:
            stack = todo.pop()
            if not stack:
                kept.add(stack)
                continue
            place, below = self._places[stack[0]], stack[1:]
            if place.bytes:
                kept.add(stack)
            reached = [(to, *below) for to in place.nothing]
            reached += [(self._entry[name], to, *below) for name, to in place.calls]
            if place.end:
                reached.append(below)
            todo += [stack for stack in reached if stack not in met]
            met.update(reached)
        return frozenset(kept)

    def _make_row(self, stacks: frozenset[Stack]) -> np.ndarray:
        to: dict[int, set[Stack]] = {}
        for stack in stacks:
            for allowed, after in self._places[stack[0]].bytes if stack else ():
                for byte in allowed:
                    to.setdefault(byte, set()).add((after, *stack[1:]))
        row = np.zeros(256, np.int32)
        found: dict[frozenset[Stack], int] = {}  # many bytes lead to the same
        for byte, reached in to.items():
            key = frozenset(reached)
            if key not in found:
                found[key] = self._state(key)
            row[byte] = found[key]
        return row
