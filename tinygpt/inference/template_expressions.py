"""What stands between {{ and }} in a chat template: a small part of Jinja's expressions.

    compiled("message['role'] == 'user' and not loop.first")(names) -> True

Literals, names, attributes, indices and slices, comparison, and/or/not, x if c else y, +, -, ~, %,
tests (is defined), a few filters (| trim) and methods of text. An expression becomes functions of
the names it reads: there is no eval, nothing can be assigned, and only what is listed here can be
called. What is not listed raises Unsupported, and whoever renders goes elsewhere.

Read next: template_language.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

Names = Mapping[str, Any]
Expression = Callable[[Names], Any]


class Unsupported(Exception):
    """A part of Jinja that is not understood here."""


class TemplateError(Exception):
    """What a template itself objects to, or what fails in any reading of it."""


class Undefined:
    """The value of a name that nobody gave: prints as nothing, is false, has no attributes."""

    def __str__(self) -> str:
        return ""

    def __bool__(self) -> bool:
        return False


UNDEFINED = Undefined()
LONGEST = 1 << 22  # characters of a text that an expression makes
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")|(?P<number>[0-9]+)(?![.\w])"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<sign>==|!=|>=|<=|[-+~%()\[\]{},:.|<>=]))", re.DOTALL,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\n": ""}
_WORDS = {"true": True, "True": True, "false": False, "False": False, "none": None, "None": None}
_SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b, ">": lambda a, b: a > b,
    "<": lambda a, b: a < b, ">=": lambda a, b: a >= b, "<=": lambda a, b: a <= b,
}
_TESTS: dict[str, Callable[[Any], bool]] = {
    "defined": lambda x: x is not UNDEFINED, "undefined": lambda x: x is UNDEFINED,
    "none": lambda x: x is None, "string": lambda x: isinstance(x, str),
    "mapping": lambda x: isinstance(x, dict), "true": lambda x: x is True,
    "false": lambda x: x is False, "iterable": lambda x: isinstance(x, str | list | dict),
    "sequence": lambda x: isinstance(x, str | list | dict),
    "number": lambda x: isinstance(x, int | float),
}
_FILTERS: dict[str, Callable[[Any], Any]] = {
    "trim": lambda x: str(x).strip(), "length": len, "count": len, "string": str,
    "upper": lambda x: str(x).upper(), "lower": lambda x: str(x).lower(),
    "capitalize": lambda x: str(x).capitalize(), "title": lambda x: str(x).title(),
    "first": lambda x: x[0] if x else UNDEFINED, "last": lambda x: x[-1] if x else UNDEFINED,
    "list": list,
}
_METHODS = ("strip", "lstrip", "rstrip", "startswith", "endswith", "split", "upper", "lower",
            "title", "capitalize")  # of text


@lru_cache(maxsize=512)
def compiled(text: str) -> Expression:
    """The function of an expression.  Raises Unsupported."""
    tokens, at = [], 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None:
            raise Unsupported(text[at : at + 20].strip())
        tokens.append((match.lastgroup or "", match[match.lastgroup or 0]))
        at = match.end()
    reader = _Reader(tokens)
    found = reader.choice()
    reader.end()
    return found


class _Reader:
    """Recursive descent over tokens; each method reads what binds at least as tightly as it."""

    def __init__(self, tokens: list[tuple[str, str]]):
        self._tokens, self._at = [*tokens, ("end", "")], 0

    def _peek(self, *texts: str) -> bool:
        kind, text = self._tokens[self._at]
        return kind in ("sign", "name") and text in texts

    def _take(self, *texts: str) -> str:
        """The next token if it is one of these, else ""."""
        if not self._peek(*texts):
            return ""
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _need(self, text: str) -> None:
        if not self._take(text):
            raise Unsupported(f"{self._tokens[self._at][1]!r} in the place of {text!r}")

    def end(self) -> None:
        if self._tokens[self._at][0] != "end":
            raise Unsupported(self._tokens[self._at][1])

    def choice(self) -> Expression:
        value = self._or()
        if not self._take("if"):
            return value
        condition = self._or()
        other = self.choice() if self._take("else") else _constant(UNDEFINED)
        return lambda names: value(names) if condition(names) else other(names)

    def _or(self) -> Expression:
        left = self._and()
        while self._take("or"):
            left = _either(left, self._and())
        return left

    def _and(self) -> Expression:
        left = self._not()
        while self._take("and"):
            left = _both(left, self._not())
        return left

    def _not(self) -> Expression:
        if self._take("not"):
            inner = self._not()
            return lambda names: not inner(names)
        return self._comparison()

    def _comparison(self) -> Expression:
        left = self._sum()
        while True:
            if sign := self._take(*_SIGNS):
                left = _applied(_SIGNS[sign], left, self._sum())
            elif self._take("in"):
                left = _applied(_contains, left, self._sum())
            elif self._peek("not") and self._tokens[self._at + 1][1] == "in":
                self._at += 2
                left = _applied(lambda a, b: not _contains(a, b), left, self._sum())
            else:
                return left

    def _sum(self) -> Expression:
        left = self._postfix()
        while sign := self._take("+", "-", "~", "%"):
            left = _applied({"+": _add, "~": _join, "-": _minus, "%": _modulo}[sign], left,
                            self._postfix())
        return left

    def _postfix(self) -> Expression:
        value = self._primary()
        while True:
            if self._take("."):
                value = self._attribute(value)
            elif self._take("["):
                value = self._index(value)
            elif self._take("|"):
                value = self._filter(value)
            elif self._take("is"):
                wrong = bool(self._take("not"))
                test = _TESTS.get(self._name())
                if test is None:
                    raise Unsupported("a test")
                value = _tested(test, value, wrong)
            else:
                return value

    def _name(self) -> str:
        kind, text = self._tokens[self._at]
        if kind != "name":
            raise Unsupported(text)
        self._at += 1
        return text

    def _attribute(self, value: Expression) -> Expression:
        name = self._name()
        if not self._take("("):
            return lambda names: attribute(value(names), name)
        arguments = self._arguments()
        return lambda names: _method(value(names), name, [a(names) for a in arguments])

    def _arguments(self) -> list[Expression]:
        found = []
        while not self._take(")"):
            found.append(self.choice())
            if not self._peek(")"):
                self._need(",")
        return found

    def _index(self, value: Expression) -> Expression:
        first = None if self._peek(":") else self.choice()
        if self._take("]") and first is not None:
            key = first
            return lambda names: attribute(value(names), key(names))
        self._need(":")
        last = None if self._peek("]", ":") else self.choice()
        step = self.choice() if self._take(":") else None
        self._need("]")
        bounds = [bound or _constant(None) for bound in (first, last, step)]
        return lambda names: _cut(value(names), slice(*[bound(names) for bound in bounds]))

    def _filter(self, value: Expression) -> Expression:
        name = self._name()
        arguments = self._arguments() if self._take("(") else []
        if name == "default" and len(arguments) == 1:
            other = arguments[0]
            return lambda names: other(names) if value(names) is UNDEFINED else value(names)
        if name not in _FILTERS or arguments:
            raise Unsupported(f"the filter {name}")
        return lambda names: _tried(_FILTERS[name], value(names))

    def _primary(self) -> Expression:
        kind, text = self._tokens[self._at]
        self._at += 1
        if kind == "text":
            plain = re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text[1:-1],
                           flags=re.DOTALL)
            return _constant(plain)
        if kind == "number" and len(text) < 10:
            return _constant(int(text))
        if kind == "sign" and text == "(":
            inner = self.choice()
            self._need(")")
            return inner
        if kind == "sign" and text == "-":
            inner = self._postfix()
            return _applied(_minus, lambda names: 0, inner)
        if kind == "sign" and text == "[":
            return self._list()
        if kind != "name":
            raise Unsupported(text)
        if text in _WORDS:
            return _constant(_WORDS[text])
        return self._call(text) if self._take("(") else lambda names: names.get(text, UNDEFINED)

    def _list(self) -> Expression:
        items: list[Expression] = []
        while not self._take("]"):
            items.append(self.choice())
            if not self._peek("]"):
                self._need(",")
        return lambda names: [item(names) for item in items]

    def _call(self, name: str) -> Expression:
        if name == "namespace":
            given = {}
            while not self._take(")"):
                key = self._name()
                self._need("=")
                given[key] = self.choice()
                self._take(",")
            return lambda names: {key: value(names) for key, value in given.items()}
        arguments = self._arguments()
        if name == "raise_exception" and len(arguments) == 1:
            return lambda names: _object_to(arguments[0](names))
        raise Unsupported(f"{name}()")


def _constant(value: Any) -> Expression:
    return lambda names: value


def _either(left: Expression, right: Expression) -> Expression:
    return lambda names: left(names) or right(names)


def _both(left: Expression, right: Expression) -> Expression:
    return lambda names: left(names) and right(names)


def _applied(
    what: Callable[[Any, Any], Any], left: Expression, right: Expression
) -> Expression:
    return lambda names: _tried(what, left(names), right(names))


def _tested(test: Callable[[Any], bool], value: Expression, wrong: bool) -> Expression:
    return lambda names: test(value(names)) is not wrong


def _tried(what: Callable[..., Any], *values: Any) -> Any:
    """A result, of bounded length.  What Python cannot compute, template_language.render says."""
    found = what(*values)
    if isinstance(found, str) and len(found) > LONGEST:
        raise TemplateError("it makes a text without end")
    return found


def attribute(value: Any, key: Any) -> Any:
    """What an object has by a name, or a list at a place; UNDEFINED for nothing."""
    if isinstance(value, Undefined):
        raise TemplateError(f"it asks nothing for {key!r}")
    if isinstance(value, dict):
        return value.get(key, UNDEFINED) if isinstance(key, str | int) else UNDEFINED
    if isinstance(value, str | list) and type(key) is int and -len(value) <= key < len(value):
        return value[key]
    return UNDEFINED


def _method(value: Any, name: str, arguments: list[Any]) -> Any:
    if isinstance(value, dict) and name == "get" and 1 <= len(arguments) <= 2:
        return value.get(arguments[0], *(arguments[1:] or [None]))
    if isinstance(value, dict) and name == "items" and not arguments:
        return [list(item) for item in value.items()]
    if not isinstance(value, str) or name not in _METHODS:
        raise Unsupported(f".{name}()")
    return _tried(getattr(value, name), *arguments)


def _contains(item: Any, box: Any) -> bool:
    return not isinstance(box, Undefined) and item in box


def _cut(value: Any, where: slice) -> Any:
    return _tried(lambda: value[where])


def _add(left: Any, right: Any) -> Any:
    same = isinstance(left, str) and isinstance(right, str)
    lists = isinstance(left, list) and isinstance(right, list)
    if same or lists or (type(left) is int and type(right) is int):
        return left + right
    raise TypeError(f"{type(left).__name__} + {type(right).__name__}")


def _join(left: Any, right: Any) -> str:
    return f"{shown(left)}{shown(right)}"


def _minus(left: Any, right: Any) -> int:
    if type(left) is not int or type(right) is not int:
        raise TypeError("numbers are subtracted, nothing else")
    return left - right


def _modulo(left: Any, right: Any) -> int:
    if type(left) is not int or type(right) is not int:
        raise TypeError("numbers are divided, nothing else")
    return left % right


def _object_to(text: Any) -> Any:
    raise TemplateError(f"its template says: {text}")


def shown(value: Any) -> str:
    """A value as a template prints it.  Raises Unsupported for an object or a list."""
    if isinstance(value, dict | list):
        raise Unsupported("printing of an object")
    return str(value)
