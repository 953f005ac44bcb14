"""Chat templates without Jinja: the part of the language that they are written in.

    render("{% for m in messages %}{{ m.role }}: {{ m.content }}\\n{% endfor %}", names)

Text, {{ expressions }}, {# comments #}, and the statements if, elif, else, for and set, with white
space trimmed as Hugging Face asks of Jinja (trim_blocks and lstrip_blocks). The templates of Llama,
Mistral, Qwen, SmolLM2, Zephyr and their kin are made of these; a branch that is not taken may hold
anything. What else there is raises Unsupported.

A template comes from a file that anybody may have written: it reads the names that it is given and
makes text, in at most so many steps, and can do nothing besides.

Read next: template_expressions.py, templates.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from tinygpt.inference.template_expressions import (
    LONGEST,
    TemplateError,
    Unsupported,
    compiled,
    shown,
)

STEPS = 200_000  # statements and expressions that one rendering may take
_TAG = re.compile(r"\{%[-+]?.*?[-+]?%\}|\{\{[-+]?.*?[-+]?\}\}|\{#.*?#\}", re.DOTALL)
_FOR = re.compile(r"for\s+([A-Za-z_]\w*)\s+in\s+(.*)", re.DOTALL)
_SET = re.compile(r"set\s+([A-Za-z_]\w*)(?:\.([A-Za-z_]\w*))?\s*=(?!=)\s*(.*)", re.DOTALL)
_OPENS = ("if", "for", "macro", "call", "filter", "block", "raw")


class _Piece(NamedTuple):
    """kind: "text", "show" or "do".  content: the text, expression or statement."""

    kind: str
    content: str


def render(template: str, names: Mapping[str, Any]) -> str:
    """The text of a template under these names.

    Raises Unsupported for what is not understood here, TemplateError for what the template objects
    to, or for one that does not come to an end.
    """
    try:
        pieces = _pieces(template)
        run = _Run(pieces)
        run.body(0, len(pieces), dict(names))
        return "".join(run.out)
    except RecursionError as error:
        raise TemplateError("it is nested too deeply") from error
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        raise TemplateError(f"it cannot compute: {error}") from error


def _pieces(template: str) -> list[_Piece]:
    """The template cut at its tags, white space trimmed."""
    found: list[_Piece] = []
    text_at, strip = 0, ""  # strip: what the last tag takes away behind it
    for match in _TAG.finditer(template):
        tag = match[0]
        raw = template[text_at : match.start()]
        text = _behind(raw, strip)
        if tag[2] == "-":
            text = text.rstrip()
        elif tag[1] in "%#" and tag[2] != "+":  # alone on its line: the blanks before it go
            line = text[text.rfind("\n") + 1 :]
            begins = "\n" in text or text_at == 0 or (strip == "line" and raw.startswith("\n"))
            if begins and not line.strip(" \t"):
                text = text[: len(text) - len(line)]
        found.append(_Piece("text", text))
        inner = tag[2:-2].removeprefix("-").removeprefix("+")
        strip = "all" if tag[-3] == "-" else "line" if tag[1] in "%#" else ""
        inner = inner.removesuffix("-").removesuffix("+").strip()
        if tag[1] != "#":
            found.append(_Piece("show" if tag[1] == "{" else "do", inner))
        text_at = match.end()
    found.append(_Piece("text", _behind(template[text_at:], strip).removesuffix("\n")))
    return found


def _behind(text: str, strip: str) -> str:
    """The text after a tag that takes away all white space, or the end of its line."""
    if strip == "all":
        return text.lstrip()
    return text.removeprefix("\n") if strip == "line" else text


class _Run:
    """One rendering: what has been written, and the steps that are left."""

    def __init__(self, pieces: list[_Piece]):
        self.out: list[str] = []
        self._pieces, self._steps, self._size = pieces, STEPS, 0

    def body(self, at: int, end: int, names: dict[str, Any]) -> None:
        """Render the pieces from `at` up to `end`; `set` changes `names`."""
        while at < end:
            self._steps -= 1
            if self._steps < 0:
                raise TemplateError("it does not come to an end")
            kind, content = self._pieces[at]
            if kind == "text":
                self._write(content)
            elif kind == "show":
                self._write(shown(compiled(content)(names)))
            else:
                at = self._statement(at, content, names)
            at += 1

    def _write(self, text: str) -> None:
        self._size += len(text)
        if self._size > LONGEST:
            raise TemplateError("it makes a text without end")
        self.out.append(text)

    def _statement(self, at: int, content: str, names: dict[str, Any]) -> int:
        """Do what stands at a place; returns the place of its end."""
        word = content.split(None, 1)[0] if content else ""
        if word == "set":
            self._set(content, names)
            return at
        if word in ("generation", "endgeneration"):  # marks what a trainer learns from
            return at
        if word not in ("if", "for"):
            raise Unsupported(f"the statement {word}")
        marks = self._marks(at)
        if word == "if":
            self._if(marks, names)
        else:
            self._for(marks, names)
        return marks[-1]

    def _marks(self, at: int) -> list[int]:
        """Places of a statement, of its elif and else, and of its end."""
        marks, depth = [at], 0
        for place in range(at + 1, len(self._pieces)):
            kind, content = self._pieces[place]
            if kind != "do":
                continue
            word = content.split(None, 1)[0] if content else ""
            if word in _OPENS:
                depth += 1
            elif depth and word.startswith("end") and word[3:] in _OPENS:
                depth -= 1
            elif not depth and word in ("elif", "else"):
                marks.append(place)
            elif not depth and word in ("endif", "endfor"):
                return [*marks, place]
        raise TemplateError("one of its statements has no end")

    def _if(self, marks: list[int], names: dict[str, Any]) -> None:
        for place, end in zip(marks, marks[1:], strict=False):
            word, _, condition = self._pieces[place].content.partition(" ")
            if word == "else" or compiled(condition)(names):
                self.body(place + 1, end, names)
                return

    def _for(self, marks: list[int], names: dict[str, Any]) -> None:
        """What is set within a round is forgotten after it, as Jinja does."""
        match = _FOR.fullmatch(self._pieces[marks[0]].content)
        if match is None or len(marks) > 2:
            raise Unsupported("such a loop")
        items = compiled(match[2])(names)
        if not isinstance(items, list):
            raise Unsupported("a loop over what is no list")
        for i, item in enumerate(items):
            loop = {
                "index": i + 1, "index0": i, "first": i == 0, "last": i == len(items) - 1,
                "length": len(items), "revindex": len(items) - i, "revindex0": len(items) - i - 1,
            }
            if i:
                loop["previtem"] = items[i - 1]
            if i + 1 < len(items):
                loop["nextitem"] = items[i + 1]
            self.body(marks[0] + 1, marks[1], {**names, match[1]: item, "loop": loop})

    def _set(self, content: str, names: dict[str, Any]) -> None:
        match = _SET.fullmatch(content)
        if match is None:
            raise Unsupported("such a set")
        name, key, value = match.groups()
        found = compiled(value)(names)
        if key is None:
            names[name] = found
            return
        box = names.get(name)
        if not isinstance(box, dict):
            raise Unsupported("setting a part of what is no namespace")
        box[key] = found
