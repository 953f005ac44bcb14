r"""A pattern's text as a tree, when it is one that automaton.py can compile.

The subset is what cutting into pre-tokens needs, and every public pattern is in it:

    x  .  [...]  \p{Lu}  \s \S \d \D \w \W  \n \r \t \x20 \u3000   one character
    ab  a|b  (...)  (?:...)  (?i:...)                                in a row, or one of several
    * + ? {2} {2,} {2,3}, lazy with ? behind                         again
    *+ ++ ?+ {2,3}+ behind one character                             again, giving nothing back
    (?=x) (?!x) (?![\s\S]) $ \Z                                      one character that is next

Everything else raises Unsupported with the reason: `regex` then does the work, and `tinygpt
tokenizer inspect` says so. Meanings are those of the `regex` module, whose syntax this is a part
of; whether a text is an expression at all is for `regex` to say, so here nothing needs to be
complained about twice.

Read next: automaton.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tinygpt.tokenizer.unicode import SPACES, WORD_CATEGORIES, WORD_EXTRAS, of_category

_MOST_NODES = 1000  # after {n,m} is written out; o200k has 60
_MOST_TIMES = 50  # in {n,m}
_DEEPEST = 50  # brackets in brackets


class Unsupported(Exception):
    """The pattern needs `regex`; the message says why, as in "it looks behind"."""


@dataclass(frozen=True)
class Chars:
    """One character of a set.  parts: ranges of code points, names of categories, other sets."""

    parts: tuple[range | str | Chars, ...]
    negated: bool = False


@dataclass(frozen=True)
class Look:
    """What comes next, without taking it: one symbol for each of `sets`.

    A symbol is a character, or (where the flag says so) the end of the text.
    """

    sets: tuple[tuple[Chars, bool], ...]


@dataclass(frozen=True)
class Sequence:
    """One after the other; () matches nothing at all."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Choice:
    """The first of `nodes` that leads to a match."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Star:
    """Any number of `node`, as many as possible or (lazy) as few."""

    node: Node
    lazy: bool


Node = Chars | Look | Sequence | Choice | Star

NOTHING = Sequence(())
NO_CHARACTER = Chars(())
SPACE, DIGIT = Chars(SPACES), Chars(("Nd",))
WORD = Chars((*WORD_CATEGORIES, *WORD_EXTRAS))
NEWLINE = Chars((range(10, 11),))
_CLASSES = {
    "s": SPACE, "S": Chars((SPACE,), True), "d": DIGIT, "D": Chars((DIGIT,), True),
    "w": WORD, "W": Chars((WORD,), True),
}
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "a": "\a", "0": "\0"}
# The end; or a line end that is the last character.
_DOLLAR = Choice((
    Look(((NO_CHARACTER, True),)), Look(((NEWLINE, False), (NO_CHARACTER, True)))
))
_FOLDED = {"s": "\u017f", "k": "\u212a"}  # the long s and the Kelvin sign
_QUANTIFIER = re.compile(r"(?:([*+?])|\{(\d{1,4})(?:(,)(\d{1,4})?)?\})([?+])?", re.ASCII)
_ESCAPED_POINT = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})")
_PROPERTY = re.compile(r"([pP])(?:\{(\^?)(\w+)\}|(\w))", re.ASCII)


def parse(text: str) -> Node:
    """The tree of a pattern.  Raises Unsupported."""
    parser = _Parser(text)
    node = parser.choice(0)
    if parser.at < len(text):
        raise Unsupported(f"it holds {text[parser.at]!r} where nothing of that kind can stand")
    if can_be_empty(node):
        raise Unsupported("it can match nothing at all")
    return node


def can_be_empty(node: Node) -> bool:
    """Can it match without taking a character?"""
    if isinstance(node, Sequence):
        return all(map(can_be_empty, node.nodes))
    if isinstance(node, Choice):
        return any(map(can_be_empty, node.nodes))
    return not isinstance(node, Chars)


def _next_is_not(chars: Chars) -> Look:
    return Look(((Chars((chars,), negated=True), True),))


class _Parser:
    """Recursive descent: one method for each rule of the grammar above."""

    def __init__(self, text: str):
        self.text, self.at, self.any_case, self.n_nodes = text, 0, False, 0

    def choice(self, depth: int) -> Node:
        """Alternatives, up to a closing bracket or the end."""
        if depth > _DEEPEST:
            raise Unsupported("its brackets are nested too deeply")
        branches = [self.sequence(depth)]
        while self.take("|"):
            branches.append(self.sequence(depth))
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def sequence(self, depth: int) -> Node:
        nodes = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            before = self.n_nodes
            node = self.atom(depth)
            nodes.append(self.repeat(node, self.n_nodes - before))
        return nodes[0] if len(nodes) == 1 else Sequence(tuple(nodes))

    def take(self, expected: str) -> bool:
        """Step over `expected` if it comes next."""
        found = self.text.startswith(expected, self.at)
        self.at += len(expected) * found
        return found

    def count(self, more: int) -> None:
        self.n_nodes += more
        if self.n_nodes > _MOST_NODES:
            raise Unsupported("its repeats written out are too long")

    # --- what can stand alone ---------------------------------------------------------------------

    def atom(self, depth: int) -> Node:
        self.count(1)
        character = self.text[self.at]
        self.at += 1
        if character == "(":
            return self.group(depth)
        if character == "[":
            return self.set()
        if character == ".":
            return Chars((NEWLINE,), negated=True)
        if character == "$":
            return _DOLLAR
        if character == "\\":
            if self.take("Z"):
                return Look(((NO_CHARACTER, True),))
            return self.escape()
        if character in "^*+?{}":
            raise Unsupported(f"it holds {character!r} where nothing of that kind can stand")
        return self.literal(character)

    def group(self, depth: int) -> Node:
        looks = next((kind for kind in ("?=", "?!") if self.take(kind)), "")
        outside = self.any_case
        if self.take("?i:"):
            self.any_case = True
        elif not looks and not self.take("?:") and self.text.startswith("?", self.at):
            raise Unsupported(f"it holds the group ({self.text[self.at:self.at + 3]}...")
        node = self.choice(depth + 1)
        self.any_case = outside
        if not self.take(")"):
            raise Unsupported("a bracket is open at its end")
        if not looks:
            return node
        if not isinstance(node, Chars):
            raise Unsupported("it looks ahead for more than one character")
        return _next_is_not(node) if looks == "?!" else Look(((node, False),))

    def literal(self, character: str) -> Chars:
        """One character; under (?i:...) with the others that differ from it by their case."""
        same = {character}
        if self.any_case:
            if character in "iI" or not character.isascii():
                raise Unsupported(f"it ignores the case of {character!r}, which is not settled")
            lower = character.lower()
            same = {lower, character.upper(), _FOLDED.get(lower, lower)}
        return Chars(tuple(range(ord(c), ord(c) + 1) for c in sorted(same)))

    def escape(self) -> Chars:
        """What a backslash, which is behind us, makes of what follows."""
        if match := _PROPERTY.match(self.text, self.at):
            self.at = match.end()
            name = match[3] or match[4]
            if self.any_case or not of_category(name).any():
                raise Unsupported(f"it uses the property \\{match[0]}")
            return Chars((name,), negated=(match[1] == "P") != bool(match[2]))
        if match := _ESCAPED_POINT.match(self.text, self.at):
            self.at = match.end()
            point = int(match[1] or match[2] or match[3], 16)
            if point > 0x10FFFF:
                raise Unsupported(f"it holds \\{match[0]}")
            return self.literal(chr(point))
        character = self.text[self.at : self.at + 1]
        self.at += 1
        if character in _CLASSES and not (self.any_case and character in "wW"):
            return _CLASSES[character]
        if character in _CONTROLS and not self.text[self.at : self.at + 1].isdigit():
            return self.literal(_CONTROLS[character])
        if not character or character.isalnum() or not character.isascii():
            raise Unsupported(f"it holds \\{character}")
        return self.literal(character)

    def set(self) -> Chars:
        """[...], whose opening bracket is behind us."""
        parts: list[range | str | Chars] = []
        negated = self.take("^")
        if negated and self.any_case:
            raise Unsupported("it ignores the case of a set that excludes")
        while not self.take("]"):
            if self.text[self.at : self.at + 2] in ("--", "||", "&&", "~~"):
                raise Unsupported("it computes with sets")
            part = self.member()
            if self.text[self.at : self.at + 1] == "-" and self.text[self.at + 1 :][:1] != "]":
                self.at += 1
                part = self.span(part, self.member())
            parts.append(part)
        if not parts:
            raise Unsupported("it holds an empty set")
        return Chars(tuple(parts), negated)

    def member(self) -> Chars:
        character = self.text[self.at : self.at + 1]
        self.at += 1
        if character == "\\":
            return self.escape()
        if character in ("", "["):
            raise Unsupported("it holds a set in a set")
        return self.literal(character)

    def span(self, first: Chars, last: Chars) -> Chars:
        """The range between two single characters."""
        ends = (*first.parts, *last.parts)
        if len(ends) != 2 or not all(isinstance(end, range) and len(end) == 1 for end in ends):
            raise Unsupported("a range in it has an end that is not one character")
        low, high = (end[0] for end in ends if isinstance(end, range))
        if high < low:
            raise Unsupported("a range in it ends before it starts")
        return Chars((range(low, high + 1),))

    # --- repeats ----------------------------------------------------------------------------------

    def repeat(self, node: Node, size: int) -> Node:
        """`node` as often as the quantifier behind it says."""
        match = _QUANTIFIER.match(self.text, self.at)
        if not match:
            return node
        self.at = match.end()
        sign, low, comma, high, mode = match.groups()
        if sign:
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        else:
            least = int(low)
            most = least if not comma else int(high) if high else None
        if most is not None and most < least:
            raise Unsupported(f"{match[0]} in it ends before it starts")
        if can_be_empty(node) and most != 1:
            raise Unsupported("it repeats what can match nothing")
        self.count(size * max(least, most or 0))
        if max(least, most or 0) > _MOST_TIMES:
            raise Unsupported("its repeats written out are too long")
        if mode == "+":
            return self.possessive(node, least, most)
        return _repeated(node, least, most, lambda n: NOTHING, lazy=mode == "?")

    def possessive(self, node: Node, least: int, most: int | None) -> Node:
        """As many as there are: where it ends, another kind of character comes next."""
        if not isinstance(node, Chars):
            raise Unsupported("it gives nothing back of more than one character")
        stop = _next_is_not(node)
        return _repeated(node, least, most, lambda n: NOTHING if n == most else stop, lazy=False)


def _repeated(
    node: Node, least: int, most: int | None, stop: Callable[[int], Node], lazy: bool
) -> Node:
    """`node` from `least` to `most` times; stop(n) is what must hold where it ends after n."""
    if most is None:
        rest: Node = Sequence((Star(node, lazy), stop(-1)))
    else:
        rest = stop(most)
        for n in range(most - 1, least - 1, -1):
            again = Sequence((node, rest))
            rest = Choice((stop(n), again) if lazy else (again, stop(n)))
    return Sequence((node,) * least + (rest,))
