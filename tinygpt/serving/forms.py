"""What an answer is held to, as a client asks for it: response_format.

    {"type": "json_object"}
    {"type": "json_schema", "json_schema": {"name": "reply", "schema": {...}}}
    {"type": "regex", "pattern": "yes|no"}

What of JSON Schema and of regular expressions is known: ../structured/schema.py and regex.py.

Read next: ../structured/constraint.py.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Collection
from typing import Any

from tinygpt.serving.parameters import wrong
from tinygpt.structured import Constraint, FormError, Vocabulary, json_value, regex, schema
from tinygpt.structured.grammar import Grammar
from tinygpt.tokenizer import Tokenizer

KEPT = 16  # forms of which it is known where the tokens lead


class Forms:
    """The forms that were asked of a model; the vocabulary is looked at when the first is."""

    def __init__(self, tokenizer: Tokenizer, size: int, ends: Collection[int]):
        self._tokenizer, self._size, self._ends = tokenizer, size, ends
        self._vocabulary: Vocabulary | None = None
        self._kept: OrderedDict[str, Constraint] = OrderedDict()

    def of(self, asked: dict[str, Any]) -> Constraint | None:
        """The form of a response_format, None for any text.  Raises Refusal."""
        if asked["type"] == "text":
            return None
        if not self._ends:
            raise wrong("response_format", "cannot be promised: no token of this model ends a text")
        key = json.dumps(asked, sort_keys=True)
        # States are met for ever: of texts nested in yet another way. Those under way keep theirs.
        if key not in self._kept or self._kept[key].automaton.crowded:
            if self._vocabulary is None:
                self._vocabulary = Vocabulary(self._tokenizer, self._size)
            try:
                self._kept[key] = Constraint(_grammar(asked), self._vocabulary, self._ends)
            except FormError as error:
                what = str(error).removesuffix(".")
                raise wrong("response_format", f"cannot be promised: {what}") from error
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


def _grammar(asked: dict[str, Any]) -> Grammar:
    if asked["type"] == "json_object":
        return json_value()
    if asked["type"] == "regex":
        return regex(asked["pattern"])
    return schema(asked["json_schema"]["schema"])
