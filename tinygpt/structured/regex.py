r"""A regular expression as a grammar: the subset that every engine reads alike.

    literals  .  [a-z]  [^"]  \d \w \s \D \W \S \n \t \r \f \v \xHH \uHHHH
    ( ) (?: )  |  * + ? {2} {2,} {2,5}

and ^ at the start, $ at the end, which change nothing: the whole text has to fit. \d, \w and \s
are ASCII's. What looks around, back or ahead (?=, \b, \1, (?i), *? and the like) is refused by
name: a text that is written from left to right cannot promise it.

Read next: schema.py, automaton.py.
"""

from __future__ import annotations

from collections.abc import Callable

from tinygpt.structured.grammar import (
    LAST,
    MOST_DEPTH,
    Choice,
    FormError,
    Grammar,
    Node,
    Ranges,
    either,
    repeat,
    seq,
    united,
    utf8,
    without,
)

MOST_CHARACTERS = 1000  # of a pattern
ANY: Ranges = ((0, LAST),)
SETS: dict[str, Ranges] = {
    "d": ((48, 57),),
    "w": ((48, 57), (65, 90), (95, 95), (97, 122)),
    "s": ((9, 13), (32, 32)),
}
SIGNS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
CONTROLS = {"n": 10, "t": 9, "r": 13, "f": 12, "v": 11, "0": 0}
DIGITS = {"x": 2, "u": 4}


def regex(pattern: str) -> Grammar:
    """The texts that a pattern fits from end to end.  Raises FormError outside the subset."""
    return Grammar({"start": parse(pattern)})


def parse(pattern: str, character: Callable[[Ranges], Node] = utf8) -> Node:
    """The form of a pattern.  character: how one of some code points is spelled."""
    if len(pattern) > MOST_CHARACTERS:
        raise FormError(
            f"the pattern has {len(pattern):,} characters, and may have {MOST_CHARACTERS:,}. "
            "Shorten it."
        )
    return _Parser(pattern, character).whole()


class _Parser:
    """Recursive descent: a choice of sequences of repeated atoms."""

    def __init__(self, pattern: str, character: Callable[[Ranges], Node]):
        self.pattern, self.at, self.character, self.depth = pattern, 0, character, 0

    def whole(self) -> Node:
        self.takes("^")
        node = self.choice()
        if self.at < len(self.pattern):
            raise self.wrong("')' closes nothing")
        return node

    def choice(self) -> Node:
        options = [self.sequence()]
        while self.takes("|"):
            options.append(self.sequence())
        return either(*options)

    def sequence(self) -> Node:
        parts = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            if self.pattern[self.at :] == "$":
                self.at += 1
                break
            parts.append(self.repeated(self.atom()))
        return seq(*parts)

    def repeated(self, node: Node) -> Node:
        sign = self.pattern[self.at : self.at + 1]
        if sign not in ("*", "+", "?", "{"):
            return node
        self.at += 1
        least, most = self.counts() if sign == "{" else SIGNS[sign]
        if self.at < len(self.pattern) and self.pattern[self.at] in "*+?{":
            raise self.wrong("a repetition of a repetition is not known")
        return repeat(node, least, most)

    def counts(self) -> tuple[int, int | None]:
        end = self.pattern.find("}", self.at)
        first, comma, last = self.pattern[self.at : max(end, self.at)].partition(",")
        if end < 0 or not first.isdecimal() or (last and not last.isdecimal()):
            raise self.wrong("after { stand numbers, as in {2} or {2,5}")
        self.at = end + 1
        least = int(first)
        most = (int(last) if last else None) if comma else least
        if most is not None and most < least:
            raise self.wrong(f"{{{least},{most}}} ends before it begins")
        return least, most

    def atom(self) -> Node:
        sign = self.pattern[self.at]
        self.at += 1
        if sign == "(":
            if self.takes("?") and not self.takes(":"):
                raise self.wrong("of groups with ? only (?: ) is known")
            self.depth += 1
            if self.depth > MOST_DEPTH:
                raise self.wrong(f"more than {MOST_DEPTH} groups lie in one another")
            node = self.choice()
            if not self.takes(")"):
                raise self.wrong("a group is not closed")
            self.depth -= 1
            return node
        if sign == "[":
            return self.one_of(self.set())
        if sign == ".":
            return self.one_of(without(ANY, [(10, 10)]))
        if sign == "\\":
            return self.one_of(self.escape())
        if sign in "*+?{^$":
            raise self.wrong(f"{sign!r} has nothing to stand for here; write \\{sign} for the sign")
        return self.one_of(((ord(sign), ord(sign)),))

    def one_of(self, ranges: Ranges) -> Node:
        return self.character(ranges) if ranges else Choice(())

    def set(self) -> Ranges:
        """What stands between [ and ]."""
        negated, first = self.takes("^"), True
        ranges: list[tuple[int, int]] = []
        while first or not self.takes("]"):
            low, single = self.member()
            if single and self.pattern[self.at : self.at + 1] == "-" and (
                self.pattern[self.at + 1 : self.at + 2] not in ("]", "")
            ):
                self.at += 1
                high, one = self.member()
                if not one or high[0][0] < low[0][0]:
                    raise self.wrong("a range in [ ] goes from a character to a later one")
                low = ((low[0][0], high[0][0]),)
            ranges += low
            first = False
        return without(ANY, ranges) if negated else united(ranges)

    def member(self) -> tuple[Ranges, bool]:
        """(code points, whether it is a single one) of a member of a set."""
        if self.at >= len(self.pattern):
            raise self.wrong("[ is not closed")
        sign = self.pattern[self.at]
        self.at += 1
        found = self.escape() if sign == "\\" else ((ord(sign), ord(sign)),)
        return found, len(found) == 1 and found[0][0] == found[0][1]

    def escape(self) -> Ranges:
        """What follows a backslash."""
        sign = self.pattern[self.at : self.at + 1]
        self.at += 1
        if sign.lower() in SETS and sign:
            found = SETS[sign.lower()]
            return found if sign in SETS else without(ANY, found)
        if sign in CONTROLS:
            return ((CONTROLS[sign], CONTROLS[sign]),)
        if sign in DIGITS:
            digits = self.pattern[self.at : self.at + DIGITS[sign]]
            self.at += len(digits)
            try:
                code = int(digits, 16) if len(digits) == DIGITS[sign] else -1
            except ValueError:
                code = -1
            if code < 0:
                raise self.wrong(f"\\{sign} wants {DIGITS[sign]} hexadecimal digits")
            return ((code, code),)
        if not sign or sign.isalnum():
            raise self.wrong(f"\\{sign} is not known")
        return ((ord(sign), ord(sign)),)

    def takes(self, sign: str) -> bool:
        """Step over a sign if it is next."""
        if self.pattern[self.at : self.at + 1] != sign:
            return False
        self.at += 1
        return True

    def wrong(self, what: str) -> FormError:
        return FormError(
            f"the pattern {self.pattern!r} is not understood at {self.at}: {what}. Known are "
            r"literals, . [ ] ( ) | * + ? {m,n} and \d \w \s."
        )
