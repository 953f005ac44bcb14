"""JSON, and JSON of a schema, as a grammar.

What is written is a part of what a schema permits, and never more: properties come in the schema's
order and no others, one space may stand after a comma or a colon and nowhere else, numbers have at
most 15 digits before the point and 15 behind it. The subset:

    type: string (minLength, maxLength, pattern), number, integer, boolean, null,
          array (items, minItems, maxItems), object (properties, required), or a list of these
    enum, const, anyOf, $ref to #/$defs/NAME or #/definitions/NAME, also to itself

Whatever else would narrow what is valid (minimum, oneOf, format, ...) is refused by its name:
ignored, it would make a promise that is not kept. Titles, descriptions and the like mean nothing.

Read next: automaton.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tinygpt.structured.grammar import (
    LAST,
    MOST_DEPTH,
    Bytes,
    FormError,
    Grammar,
    Node,
    Ranges,
    Repeat,
    Rule,
    either,
    repeat,
    seq,
    text,
    utf8,
    without,
)
from tinygpt.structured.regex import parse

NOTHING = {"title", "description", "default", "examples", "example", "$schema", "$id", "$comment",
           "deprecated", "readOnly", "writeOnly", "$defs", "definitions", "strict"}
KNOWN = {
    "string": {"minLength", "maxLength", "pattern"},
    "number": set(), "integer": set(), "boolean": set(), "null": set(),
    "array": {"items", "minItems", "maxItems"},
    "object": {"properties", "required", "additionalProperties"},
}
DIGIT, HEX = Bytes(frozenset(range(48, 58))), Bytes(frozenset(b"0123456789abcdefABCDEF"))
NONZERO = Bytes(frozenset(range(49, 58)))
MUST_ESCAPE: Ranges = ((0, 31), (34, 34), (92, 92))
SHORT = {8: "b", 9: "t", 10: "n", 12: "f", 13: "r", 34: '"', 92: "\\"}
SPACE = repeat(text(" "), 0, 1)
COMMA, COLON = seq(text(","), SPACE), seq(text(":"), SPACE)

_digits = repeat(DIGIT, 0, 14)
INTEGER = seq(repeat(text("-"), 0, 1), either(text("0"), seq(NONZERO, _digits)))
_power = seq(Bytes(frozenset(b"eE")), repeat(Bytes(frozenset(b"+-")), 0, 1), repeat(DIGIT, 1, 2))
NUMBER = seq(
    INTEGER, repeat(seq(text("."), repeat(DIGIT, 1, 15)), 0, 1), repeat(_power, 0, 1)
)
# A character of any string: as it is, or by an escape; of those with four digits not the halves of
# a pair, which alone are no character.
_low_hex = Bytes(frozenset(b"0123456789abcefABCEF"))
CHARACTER = either(
    utf8(without([(0, LAST)], MUST_ESCAPE)),
    seq(text("\\"), Bytes(frozenset(b'"\\/bfnrt'))),
    seq(text("\\u"), either(
        seq(_low_hex, HEX, HEX, HEX), seq(Bytes(frozenset(b"dD")), Bytes(frozenset(b"01234567")),
                                          HEX, HEX),
    )),
)


def string(least: int = 0, most: int | None = None) -> Node:
    return seq(text('"'), repeat(Rule("character"), least, most), text('"'))


def _list(item: Node, least: int, most: int | None) -> Node:
    """`least` to `most` items in brackets, commas between them."""
    if most == 0:
        return text("[]")
    more = repeat(seq(COMMA, item), max(least - 1, 0), None if most is None else most - 1)
    inside = seq(item, more)
    return seq(text("["), inside if least else either(inside, seq()), text("]"))


_pair = seq(string(), COLON, Rule("value"))
JSON: dict[str, Node] = {
    "character": CHARACTER,  # named, so that a thousand of them are a thousand parts and no more
    "value": either(
        Rule("object"), _list(Rule("value"), 0, None), string(), NUMBER,
        text("true"), text("false"), text("null"),
    ),
    "object": seq(
        text("{"), either(seq(_pair, Repeat(seq(COMMA, _pair), 0, None)), seq()), text("}")
    ),
}


def json_value() -> Grammar:
    """Any JSON object."""
    return Grammar({"start": Rule("object"), **JSON})


def schema(wanted: Mapping[str, Any]) -> Grammar:
    """JSON that is valid by a schema.  Raises FormError naming what is not known of it."""
    reader = _Reader(wanted)
    reader.rules["start"] = reader.node(wanted, "the schema")
    return Grammar(reader.rules)


class _Reader:
    def __init__(self, root: Mapping[str, Any]):
        self.root = root
        self.rules: dict[str, Node] = dict(JSON)
        self.depth = 0

    def node(self, wanted: Any, where: str) -> Node:
        """The form of one schema within the whole."""
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise FormError(
                f"the schema is more than {MOST_DEPTH} deep, by its own schemas and by $ref. Make "
                "it flatter."
            )
        found = self.read(wanted, where)
        self.depth -= 1
        return found

    def read(self, wanted: Any, where: str) -> Node:
        if wanted is True or wanted == {}:
            return Rule("value")
        if not isinstance(wanted, Mapping):
            raise FormError(f"{where} is {wanted!r}, which is no schema. Give an object.")
        wanted = {key: value for key, value in wanted.items() if key not in NOTHING}
        for key, read in (("$ref", self.reference), ("const", self.const), ("enum", self.enum),
                          ("anyOf", self.any_of)):
            if key in wanted:
                beside = set(wanted) - {key} - ({"type"} if key in ("const", "enum") else set())
                self.refuse(beside, f"{where} beside {key}")
                return read(wanted[key], where)
        return self.typed(wanted, where)

    def named(self, node: Node, where: str) -> Node:
        """A form that is written down once, for those who use it more than once."""
        name = f"{len(self.rules)}, {where}"
        self.rules[name] = node
        return Rule(name)

    def refuse(self, keys: set[str], where: str) -> None:
        if keys:
            raise FormError(
                f"{sorted(keys)[0]!r} of {where} is not known here, and left out it would promise "
                "what is not kept. Take it out of the schema, or check the answer for it yourself."
            )

    def typed(self, wanted: dict[str, Any], where: str) -> Node:
        types = wanted.pop("type", None)
        if types is None:
            types = [name for name, keys in KNOWN.items() if keys & set(wanted)]
            if len(types) != 1:
                self.refuse(set(wanted), f"{where} without a type")
                return Rule("value")
        types = [types] if isinstance(types, str) else types
        if not isinstance(types, list) or not types or not set(map(str, types)) <= set(KNOWN):
            raise FormError(f"type {types!r} of {where} is not known. Known: {', '.join(KNOWN)}.")
        self.refuse(set(wanted) - set().union(*(KNOWN[name] for name in types)), where)
        read = {"string": self.string, "array": self.array, "object": self.object,
                "number": lambda *_: NUMBER, "integer": lambda *_: INTEGER,
                "boolean": lambda *_: either(text("true"), text("false")),
                "null": lambda *_: text("null")}
        return either(*(read[name](wanted, where) for name in types))

    def reference(self, target: Any, where: str) -> Node:
        name = str(target)
        if name not in self.rules:
            section, _, key = name.removeprefix("#/").partition("/")
            found = self.root.get(section)
            if name == "#":
                found = self.root
            elif section not in ("$defs", "definitions") or not isinstance(found, Mapping) or (
                key not in found
            ):
                raise FormError(
                    f"$ref {name!r} of {where} leads nowhere. It must name one of the schema's "
                    "$defs."
                )
            else:
                found = found[key]
            self.rules[name] = Rule("value")  # for those who meet it within itself
            self.rules[name] = self.node(found, name)
        return Rule(name)

    def const(self, value: Any, where: str) -> Node:
        return text(_dumped(value, where))

    def enum(self, values: Any, where: str) -> Node:
        if not isinstance(values, list) or not values:
            raise FormError(f"enum of {where} is {values!r}. It must be a list of values.")
        return either(*(text(_dumped(value, where)) for value in values))

    def any_of(self, options: Any, where: str) -> Node:
        if not isinstance(options, list) or not options:
            raise FormError(f"anyOf of {where} is {options!r}. It must be a list of schemas.")
        return either(*(
            self.node(one, f"{where}, option {number}") for number, one in enumerate(options)
        ))

    def string(self, wanted: dict[str, Any], where: str) -> Node:
        least, most = _bounds(wanted, "Length", where)
        if "pattern" not in wanted:
            return string(least, most)
        if "minLength" in wanted or "maxLength" in wanted:
            self.refuse({"pattern"}, f"{where} beside a length")
        pattern = wanted["pattern"]
        if not isinstance(pattern, str):
            raise FormError(f"pattern of {where} is {pattern!r}. It must be a text.")
        anything = repeat(Rule("character"), 0, None)  # a pattern may stand anywhere in a string
        before = seq() if pattern.startswith("^") else anything
        after = seq() if pattern.endswith("$") and not pattern.endswith("\\$") else anything
        return seq(text('"'), before, parse(pattern, _in_string), after, text('"'))

    def array(self, wanted: dict[str, Any], where: str) -> Node:
        least, most = _bounds(wanted, "Items", where)
        place = f"items of {where}"
        item = self.named(self.node(wanted.get("items", True), place), place)
        return _list(item, least, most)

    def object(self, wanted: dict[str, Any], where: str) -> Node:
        properties = wanted.get("properties", {})
        required = wanted.get("required", [])
        if not isinstance(properties, Mapping) or not isinstance(required, list):
            raise FormError(f"properties and required of {where} must be an object and a list.")
        if not properties and not required and wanted.get("additionalProperties") is not False:
            return Rule("object")
        properties = {**properties, **{name: True for name in required if name not in properties}}
        return seq(text("{"), self.pairs(properties, set(required), where), text("}"))

    def pairs(self, properties: Mapping[str, Any], required: set[str], where: str) -> Node:
        """Properties in their order, those that are not required there or not.

        From the last one to the first: what follows a property, with something before it (and so
        a comma) or without.
        """
        first: Node = seq()
        later: Node = seq()
        for name in reversed(list(properties)):
            pair = seq(
                text(_dumped(str(name), where)), COLON,
                self.node(properties[name], f"property {name!r} of {where}"),
            )
            after = self.named(seq(pair, later), where)
            optional = name not in required
            first = either(after, first) if optional else after
            later = either(seq(COMMA, after), later) if optional else seq(COMMA, after)
            first, later = self.named(first, where), self.named(later, where)
        return first


def _bounds(wanted: dict[str, Any], what: str, where: str) -> tuple[int, int | None]:
    least, most = wanted.get(f"min{what}", 0), wanted.get(f"max{what}")
    for value in (least, 0 if most is None else most):
        if type(value) is not int or value < 0:
            raise FormError(f"{what} of {where} is {value!r}. It must be a number from 0 on.")
    if most is not None and most < least:
        raise FormError(f"max{what} {most} of {where} is below min{what} {least}.")
    return least, most


def _dumped(value: Any, where: str) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError as error:
        raise FormError(f"a value of {where} is no JSON: {error}.") from None


def _in_string(ranges: Ranges) -> Node:
    """One of some characters, as it is spelled within a JSON string."""
    options: list[Node] = []
    plain = without(ranges, MUST_ESCAPE)
    if plain:
        options.append(utf8(plain))
    for start, end in ranges:
        for low, high in MUST_ESCAPE:
            for code in range(max(start, low), min(end, high) + 1):
                short = SHORT.get(code)
                options.append(text(f"\\{short}" if short else f"\\u{code:04x}"))
    return either(*options)
