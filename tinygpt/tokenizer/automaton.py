r"""A pattern as a table: one look-up for each character, and the cut that backtracking would find.

A regular expression engine tries alternatives one after the other and backs up when one fails; the
first that leads to a match wins, however long. The same choice can be made in one pass over the
text (Thompson 1968; the order of preference as in Pike's and Cox's engines, 2009-2010): walk all
alternatives at once, as a list of *threads* in order of preference. A thread that matches ends
those behind it, since they would not have been tried; those before it go on, and if one of them
matches later, its match is the one. Only so many different lists can arise, so each becomes a row
of a table, made here once; c/scan.h then reads one number for each character.

    >>> ends(compile_pattern(r" ?\p{L}+|\s+(?!\S)|\s+"), "to  be".encode())
    [2, 3, 6]

A look ahead, as in (?!\S), is a promise about the next symbol (a character, or the end of the
text): a thread carries it as a set, and what it takes next must lie in there. A thread that has
matched and only waits for its promise to be kept makes a match that ended one symbol *back*.

Characters that the pattern never tells apart share a class, and the table has a column for each
class and one for the end. Threads are (instruction, promise); sets of classes are the bits of an
int.

Read next: c/scan.h, which runs it; pretokenize.py, which says what is compiled.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tinygpt.tokenizer import unicode
from tinygpt.tokenizer.syntax import Chars, Choice, Look, Node, Star, Unsupported, parse

_MOST_STATES = 2**16 // (128 + 256)  # so that 16 bits hold the offset of a row in C
_MOST_WORK = 200_000  # threads looked at, half a second; o200k takes 4,000
DEAD, DEAD_BACK = 0, 1  # rows in which nothing goes on; in the second a match ended one symbol back

Thread = tuple[int, tuple[int, ...]]  # instruction, promise: a set for each of the next symbols
MATCH = -1  # the instruction that is a match
EVERYTHING = -1  # the set of all classes


@dataclass(frozen=True)
class Automaton:
    """What c/scan.h runs.

    classes: (0x110000,) uint8, the class of each code point; a byte that is not UTF-8 has that of
        the lone surrogate U+DC00 + byte.
    table: (states, classes + 1) uint16, the next state; the last column is the end of the text.
    start: the first state.  States come in this order: the two dead ones; those that only go on;
        from `back` on, where a match ended one symbol back; from `accepting` on, where one ends
        here.
    """

    classes: np.ndarray
    table: np.ndarray
    start: int
    back: int
    accepting: int

    @cached_property
    def safe_cuts(self) -> np.ndarray:
        """(classes, classes) bool: is there always a cut between two such characters?

        Whatever stands before and behind. So text may be cut there into parts that are encoded
        alone: every way of taking the first ends a match there, and no match goes on with the
        second.
        """
        n_classes = self.table.shape[1] - 1
        safe = np.zeros((n_classes, n_classes), bool)
        for first in range(n_classes):
            reached = self.table[:, first]
            reached = np.unique(reached[reached > DEAD_BACK])
            if self.table[self.start, first] <= DEAD_BACK:
                continue  # it can be among characters that no match takes
            then = self.table[reached, :n_classes]
            ended = (reached >= self.accepting)[:, None] & (then == DEAD)
            safe[first] = (ended | (then == DEAD_BACK)).all(axis=0)
        return safe


def compile_pattern(text: str) -> Automaton:
    """The table of a pattern.  Raises Unsupported when it has none, or one too large."""
    program = _Program(parse(text))
    states = _States(program)
    return states.automaton()


def ends(automaton: Automaton, data: bytes) -> list[int]:
    """Where each pre-token of `data` ends, in bytes: what c/scan.h does, to be read."""
    text = data.decode("utf-8", "surrogateescape")
    symbols = [int(automaton.classes[ord(c)]) for c in text] + [automaton.table.shape[1] - 1]
    offsets = np.cumsum([0, *(len(c.encode("utf-8", "surrogateescape")) for c in text)]).tolist()
    found: list[int] = []
    at = 0
    while at < len(text):
        end = _match(automaton, symbols, at)
        while end is None:  # what nothing matches is a pre-token up to the next match
            at += 1
            end = at if at == len(text) or _match(automaton, symbols, at) else None
        found.append(offsets[end])
        at = end
    return found


def _match(automaton: Automaton, symbols: list[int], at: int) -> int | None:
    """The end of the match that starts at `at`."""
    state, end = automaton.start, None
    for position, symbol in enumerate(symbols[at:], at):
        state = int(automaton.table[state, symbol])
        if state >= automaton.accepting:
            end = position + 1
        elif state == DEAD_BACK or state >= automaton.back:
            end = position
        if state <= DEAD_BACK:
            break
    return end


# --- instructions -------------------------------------------------------------------------------


class _Program:
    """The tree as numbered instructions, and its sets as sets of classes.

    steps: what follows an instruction: ("take", set, next), ("fork", nexts in order), ("look",
    promise, next).
    """

    def __init__(self, tree: Node):
        self.steps: list[tuple[Any, ...]] = []
        self._sets: dict[Chars, int] = {}
        self.classes, members = _classify(_sets_of(tree))
        self.n_classes = int(self.classes.max()) + 1
        for chars, row in members.items():
            self._sets[chars] = sum(1 << int(c) for c in np.flatnonzero(row))
        self.first = self._emit(tree, MATCH)

    def _emit(self, node: Node, then: int) -> int:
        """Instructions for `node` that go on with `then`; the number of the first."""
        if isinstance(node, Chars):
            return self._add("take", self._sets[node], then)
        if isinstance(node, Look):
            end = 1 << self.n_classes
            promise = tuple(self._sets[chars] | end * at_end for chars, at_end in node.sets)
            return self._add("look", promise, then)
        if isinstance(node, Choice):
            return self._add("fork", tuple(self._emit(branch, then) for branch in node.nodes))
        if isinstance(node, Star):
            fork = self._add("fork", ())
            again = self._emit(node.node, fork)
            self.steps[fork] = ("fork", (then, again) if node.lazy else (again, then))
            return fork
        for part in reversed(node.nodes):
            then = self._emit(part, then)
        return then

    def _add(self, *step: object) -> int:
        self.steps.append(step)
        return len(self.steps) - 1


def _sets_of(node: Node) -> set[Chars]:
    if isinstance(node, Chars):
        return {node}
    if isinstance(node, Look):
        return {chars for chars, _ in node.sets}
    if isinstance(node, Star):
        return _sets_of(node.node)
    return set().union(*map(_sets_of, node.nodes))


def _classify(sets: set[Chars]) -> tuple[np.ndarray, dict[Chars, np.ndarray]]:
    """The class of each code point, and for each set which classes are in it, (n,) bool."""
    starts, category_of_run = unicode.runs()
    edges = [starts, *(np.array(_edges(chars), np.int64) for chars in sets)]
    # With an index, because without one NumPy imports its masked arrays first: 35 ms.
    cells = np.unique(np.concatenate(edges), return_index=True)[0]
    cells = cells[cells < unicode.N_POINTS]  # from each of these to the next nothing differs
    category = category_of_run[np.searchsorted(starts, cells, side="right") - 1]
    class_of_cell = np.zeros(len(cells), np.int64)
    inside = {chars: _membership(chars, cells, category) for chars in sets}
    for row in inside.values():
        _, class_of_cell = np.unique(2 * class_of_cell + row, return_inverse=True)
    _, examples = np.unique(class_of_cell, return_index=True)
    if len(examples) > 255:
        raise Unsupported("it tells more than 255 kinds of characters apart")
    lengths = np.diff(np.append(cells, unicode.N_POINTS))
    classes = np.repeat(class_of_cell.astype(np.uint8), lengths)
    return classes, {chars: row[examples] for chars, row in inside.items()}


def _edges(chars: Chars) -> list[int]:
    out: list[int] = []
    for part in chars.parts:
        if isinstance(part, range):
            out += (part.start, part.stop)
        elif isinstance(part, Chars):
            out += _edges(part)
    return out


def _membership(chars: Chars, cells: np.ndarray, category: np.ndarray) -> np.ndarray:
    """Which cells are in a set, (cells,) bool."""
    inside = np.zeros(len(cells), bool)
    for part in chars.parts:
        if isinstance(part, range):
            inside |= (cells >= part.start) & (cells < part.stop)
        elif isinstance(part, str):
            inside |= unicode.of_category(part)[category]
        else:
            inside |= _membership(part, cells, category)
    return ~inside if chars.negated else inside


# --- states -------------------------------------------------------------------------------------

NONE, BACK, HERE = range(3)  # has a match ended on the way into a state, and where?
State = tuple[tuple[Thread, ...], int]


class _States:
    """All lists of threads that can arise, each with what follows on each symbol."""

    def __init__(self, program: _Program):
        self.program = program
        self.end = program.n_classes  # the symbol
        dead: list[State] = [((), NONE), ((), BACK)]
        self.number = {state: number for number, state in enumerate(dead)}
        self.rows: list[list[int]] = [[DEAD] * (self.end + 1), [DEAD] * (self.end + 1)]
        threads: list[Thread] = []
        self._follow(program.first, (), threads, set())
        self.start = self._number((tuple(threads), NONE))
        waiting, work = [(tuple(threads), NONE)], 0
        while waiting:
            state = waiting.pop()
            row = self.rows[self.number[state]]
            work += len(state[0]) * len(row)
            if work > _MOST_WORK:
                raise Unsupported("its table would be too large")
            for symbol in range(self.end + 1):
                new = self._step(state, symbol)
                if new not in self.number:
                    self._number(new)
                    waiting.append(new)
                row[symbol] = self.number[new]

    def _number(self, state: State) -> int:
        self.number[state] = len(self.rows)
        self.rows.append([DEAD] * (self.end + 1))
        if len(self.rows) > _MOST_STATES:
            raise Unsupported("its table would be too large")
        return self.number[state]

    def _step(self, state: State, symbol: int) -> State:
        """The threads that go on when `symbol` comes, and whether a match has ended."""
        threads: list[Thread] = []
        seen: set[Thread] = set()
        for instruction, promise in state[0]:
            allowed, promise = (promise[0], promise[1:]) if promise else (EVERYTHING, ())
            if not allowed >> symbol & 1:
                continue
            if instruction == MATCH:
                if promise:
                    raise Unsupported("it looks further ahead than one character")
                return tuple(threads), BACK
            _, taken, then = self.program.steps[instruction]
            if taken >> symbol & 1 and self._follow(then, promise, threads, seen):
                return tuple(threads), HERE
        return tuple(threads), NONE

    def _follow(
        self, instruction: int, promise: tuple[int, ...], threads: list[Thread], seen: set[Thread]
    ) -> bool:
        """Add the threads that wait for a symbol; True at a match, which ends the list."""
        stack = [(instruction, promise)]
        while stack:
            thread = instruction, promise = stack.pop()
            if thread in seen or 0 in promise:
                continue
            seen.add(thread)
            if instruction == MATCH:
                if not promise:
                    return True
                threads.append(thread)
                continue
            kind, *step = self.program.steps[instruction]
            if kind == "take":
                threads.append(thread)
            elif kind == "fork":
                stack += [(branch, promise) for branch in reversed(step[0])]
            else:
                stack.append((step[1], _both(promise, step[0])))
        return False

    def automaton(self) -> Automaton:
        """The states in the order that c/scan.h asks for."""
        found = {number: state[1] for state, number in self.number.items()}
        order = [DEAD, DEAD_BACK, *sorted(range(2, len(self.rows)), key=lambda n: (found[n], n))]
        place = np.empty(len(order), np.uint16)
        place[order] = np.arange(len(order))
        table = place[np.array(self.rows)[order]]
        kinds = [found[number] for number in order[2:]]
        return Automaton(
            self.program.classes, table, int(place[self.start]),
            back=2 + kinds.count(NONE), accepting=2 + len(kinds) - kinds.count(HERE),
        )


def _both(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    """Two promises at once."""
    longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
    return tuple(a & b for a, b in zip(longer, shorter, strict=False)) + longer[len(shorter):]
