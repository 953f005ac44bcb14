"""One id per character: the smallest tokenizer there is, and the best for a megabyte of text.

The vocabulary is exactly the characters of the training text, sorted by code point, and behind
them the special tokens, if there are any; there is no id for anything else.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from tinygpt.tokenizer.base import Text, Tokenizer
from tinygpt.tokenizer.files import TokenizerError
from tinygpt.tokenizer.vocabulary import check_specials

FORMAT = "tinygpt-char"
NAMED = 6  # unknown characters named in an error
SIGNS = {  # what a keyboard has for what a typesetter has
    "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"',
    "\u00ab": '"', "\u00bb": '"', "\u2010": "-", "\u2011": "-", "\u2013": "-", "\u2014": "-",
    "\u2212": "-", "\t": " ", "\r": "\n", "\u00df": "ss",
}


class CharTokenizer(Tokenizer):
    """Characters to ids and back.

    characters: one of each, in the order of their ids.  specials: names, whose ids follow.
    """

    def __init__(self, characters: str, specials: Sequence[str] = ()):
        if not characters:
            raise TokenizerError("a character tokenizer needs text, and this one is empty.")
        if len(set(characters)) != len(characters):
            raise TokenizerError("the characters of a character tokenizer must differ.")
        names = dict.fromkeys(specials)
        self.special_tokens = {name: len(characters) + i for i, name in enumerate(names)}
        check_specials(self.special_tokens, {})
        self._code_points = np.array([ord(c) for c in characters], np.uint32)
        self._spelled = dict(enumerate([*characters, *self.special_tokens]))
        # A table over all code points costs 4 MB and makes encoding one gather.
        self._ids = np.full(int(self._code_points.max()) + 1, -1, np.int32)
        self._ids[self._code_points] = np.arange(len(characters))

    def __reduce__(self) -> tuple[Any, ...]:
        return CharTokenizer, (self.characters, tuple(self.special_tokens))

    @classmethod
    def train(cls, text: str | Iterable[str]) -> CharTokenizer:
        """A tokenizer of the characters in `text`, a str or several."""
        seen: set[str] = set()
        for part in [text] if isinstance(text, str) else text:
            seen.update(part)
        return cls("".join(sorted(seen)))

    @property
    def characters(self) -> str:
        """The vocabulary in the order of ids."""
        return "".join(map(chr, self._code_points.tolist()))

    @property
    def vocab_size(self) -> int:
        return len(self._code_points) + len(self.special_tokens)

    def _encode_ordinary(self, text: Text) -> np.ndarray:
        if isinstance(text, bytes):
            text = _decode_utf8(text)
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
        inside = points < len(self._ids)
        ids = self._ids[np.where(inside, points, 0)]
        bad = np.flatnonzero(~inside | (ids < 0))
        if len(bad):
            raise TokenizerError(self._unknown(text, int(bad[0])))
        return ids.astype(self.dtype)

    def _unknown(self, text: str, position: int) -> str:
        """What is wrong with a text whose first unknown character stands at `position`."""
        known = set(self.characters)
        strange = list(dict.fromkeys(c for c in text if c not in known))
        near = {c: nearest(c, known) for c in strange}
        named = strange[:NAMED]
        more = f" and {len(strange) - NAMED} more" if len(strange) > NAMED else ""
        write = ", ".join(f"{near[c]!r} for {c!r}" for c in named if near[c])
        drop = ", ".join(repr(c) for c in named if not near[c])
        advice = [f"Write {write}"] * bool(write) + [f"Leave out {drop}"] * bool(drop)
        what = f"{', '.join(map(repr, named))}{more}"
        if len(strange) == 1:
            what = f"the character {what} at position {position} is"
        else:
            what = f"the characters {what}, from position {position} on, are"
        return (
            f"{what} not among the {len(known)} that this tokenizer was trained on. "
            f"{'. '.join(advice)}. Or train on text that has what is missing."
        )

    def decode(self, ids: Iterable[int]) -> str:
        tokens = ids.tolist() if isinstance(ids, np.ndarray) else list(ids)
        try:
            return "".join(map(self._spelled.__getitem__, tokens))
        except KeyError:
            position = next(i for i, token in enumerate(tokens) if token not in self._spelled)
            raise TokenizerError(
                f"the id {tokens[position]} at position {position} is outside this tokenizer's "
                f"0..{self.vocab_size - 1}. Decode with the tokenizer that made it."
            ) from None

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        return self.decode(ids).encode("utf-8", "surrogatepass")

    def to_json(self) -> str:
        data: dict[str, Any] = {"format": FORMAT, "version": 1, "characters": self.characters}
        if self.special_tokens:
            data["special_tokens"] = list(self.special_tokens)
        return json.dumps(data, indent=1) + "\n"

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> CharTokenizer:
        """Rebuild from a parsed file.  Raises TokenizerError if it is damaged."""
        characters = data.get("characters")
        if not isinstance(characters, str):
            raise TokenizerError("it has no text under 'characters'. Restore the file.")
        specials = data.get("special_tokens", [])
        if not isinstance(specials, list) or not all(isinstance(name, str) for name in specials):
            raise TokenizerError("its 'special_tokens' are no names. Restore the file.")
        return cls(characters, specials)


def nearest(character: str, known: Collection[str]) -> str:
    """What may stand for a character where only `known` ones can be written, "" for nothing.

    >>> nearest("\u00e9", "aeiou"), nearest("\u201c", "'\\""), nearest("Q", "q"), nearest("q", "x")
    ('e', '"', 'q', '')
    """
    apart = unicodedata.normalize("NFKD", SIGNS.get(character, character))
    plain = "".join(c for c in apart if not unicodedata.combining(c))
    choices = (plain, plain.swapcase())
    return next((text for text in choices if text and set(text) <= set(known)), "")


def _decode_utf8(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TokenizerError(
            f"byte {data[error.start]:#04x} at position {error.start} is not UTF-8. A character "
            "tokenizer needs text; a BPE tokenizer takes any bytes."
        ) from None
