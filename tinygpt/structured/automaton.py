"""Which byte may come next: a grammar followed from left to right.

A *place* is somewhere in a rule. Where we are is a place, and below it those to return to when its
rule is done: (place in a string, place in the object that it is a value of, ...). As a text may be
in several such places at once (is `1` the whole number or the first digit?), a *state* is a set of
them; states are made when they are first met, and then have a number and a row: for each byte the
number of the state after it, 0 where it does not fit. (The subset construction of Rabin and Scott
1959, over stacks and as far as needed: without rules there are finitely many states, and with them
as many as texts are deep.)

Each state knows how far it is from an end: the fewest bytes that make a whole of what was written.

A form comes from strangers, and a short one may be large: `((a{1000}){1000}){1000}` has a milliard
of places, `(a|b)*a(a|b){30}` as many states. Both are counted as they are made.

Read next: constraint.py.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

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
MOST_PARTS = 100_000  # of a form, each repetition counted: half a second
MOST_BYTES = 32 << 20  # of the states of one form, those of any JSON take 1 or 2 MB
STATE_BYTES, STACK_BYTES = 1200, 100  # its row; a stack of nothing
Stack = tuple[int, ...]  # a place, and those to return to, the next one first; () is the end


@dataclass
class _Place:
    """Ways on from a place: by a byte, by nothing, through a rule."""

    bytes: list[tuple[frozenset[int], int]] = field(default_factory=list)
    nothing: list[int] = field(default_factory=list)
    calls: list[tuple[str, int]] = field(default_factory=list)
    end: bool = False  # of its rule
    home: bool = False  # nothing but the end of its rule follows, so none need return to it
    distance: int = FAR  # bytes to the end of its rule


class Automaton:
    """A grammar's states, numbered from 1 as they are met; 0 is where nothing fits.

    writable: bytes that can be written alone; None: all. Distances count only these.
    Raises FormError for a rule that begins with itself, for a form that cannot be written, and for
    one that is too large, `row` too.
    """

    start = 1

    def __init__(self, grammar: Grammar, writable: Iterable[int] | None = None):
        self._places: list[_Place] = []
        self._parts = self._bytes = 0
        self._entry: dict[str, int] = {name: self._new() for name in grammar.rules}
        for name, node in grammar.rules.items():
            self._places[self._build(node, self._entry[name])].end = True
        for place in self._places:
            place.home = self._leads_home(place)
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

    @property
    def crowded(self) -> bool:
        """Whether its states take half of what they may: time to begin anew."""
        return self._bytes > MOST_BYTES // 2

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
        self._parts += 1  # what makes no place takes its time too: (()){1000}
        if self._parts > MOST_PARTS:
            raise FormError(
                f"the form has more than {MOST_PARTS:,} parts, each repetition counted. Repeat "
                "less, or leave the end open as in a{2,}."
            )
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

    def _leads_home(self, place: _Place) -> bool:
        while not place.end and len(place.nothing) == 1 and not place.bytes and not place.calls:
            place = self._places[place.nothing[0]]
        return place.end and not (place.bytes or place.nothing or place.calls)

    def _refuse_left_recursion(self) -> None:
        """Raise FormError where a rule is entered anew before a byte was read."""
        begins = {name: self._called_at_once(place) for name, place in self._entry.items()}
        try:
            TopologicalSorter(begins).prepare()
        except CycleError as error:
            raise FormError(
                f"{error.args[1][0]} begins with itself, so that no byte of it could ever be "
                "written. Put something before it."
            ) from None

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
        """Distances of all places, the nearest first (Knuth 1977: Dijkstra's way for grammars)."""
        before: list[list[tuple[int, int]]] = [[] for _ in self._places]  # (place, bytes between)
        calls: list[list[tuple[int, int, int]]] = [[] for _ in self._places]
        for at, place in enumerate(self._places):
            for of, to in place.bytes:
                if of & writable:
                    before[to].append((at, 1))
            for to in place.nothing:
                before[to].append((at, 0))
            for name, to in place.calls:  # is as far as the rule is long and what follows is far
                call = (at, self._entry[name], to)
                calls[call[1]].append(call)
                calls[to].append(call)
        near = [(0, at) for at, place in enumerate(self._places) if place.end]
        while near:
            distance, here = heapq.heappop(near)
            if self._places[here].distance < FAR:
                continue
            self._places[here].distance = distance
            for at, between in before[here]:
                heapq.heappush(near, (distance + between, at))
            for at, entry, to in calls[here]:
                whole = self._places[entry].distance + self._places[to].distance
                if whole < FAR:
                    heapq.heappush(near, (whole, at))

    # --- From places to states -------------------------------------------------------------------

    def _state(self, stacks: frozenset[Stack]) -> int:
        """The number of the state that these stacks lead to without reading."""
        closed = self._closed(stacks)
        number = self._number.get(closed)
        if number is None:
            self._bytes += STATE_BYTES + sum(STACK_BYTES + 8 * len(stack) for stack in closed)
            if self._bytes > MOST_BYTES:
                raise FormError(
                    f"the form can be gone through in too many ways: its states take more than "
                    f"{MOST_BYTES >> 20} MB. Ask for a simpler one."
                )
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
            reached += [
                (self._entry[name], *(() if self._places[to].home else (to,)), *below)
                for name, to in place.calls
            ]
            if place.end:
                reached.append(below)
            todo += [stack for stack in reached if stack not in met]
            met.update(reached)
        return frozenset(kept)

    def _make_row(self, stacks: frozenset[Stack]) -> np.ndarray:
        after: dict[frozenset[int], list[Stack]] = {}  # a set of bytes -> where any of them leads
        for stack in stacks:
            for allowed, to in self._places[stack[0]].bytes if stack else ():
                after.setdefault(allowed, []).append((to, *stack[1:]))
        sets: dict[int, list[frozenset[int]]] = {}  # that a byte is in
        for allowed in after:
            for byte in allowed:
                sets.setdefault(byte, []).append(allowed)
        row = np.zeros(256, np.int32)
        found: dict[tuple[frozenset[int], ...], int] = {}  # many bytes lead to the same
        for byte, among in sets.items():
            key = tuple(among)
            if key not in found:
                reached = frozenset(stack for allowed in key for stack in after[allowed])
                found[key] = self._state(reached)
            row[byte] = found[key]
        return row
