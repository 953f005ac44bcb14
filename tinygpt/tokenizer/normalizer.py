"""What SentencePiece does to a text before it looks for pieces in it.

    charsmap    characters that stand for others are replaced (NFKC, line ends and tabs by spaces),
                always the longest rule that fits; the rules are in the model's file
    spaces      runs of them become one, none stands at either end
    prefix      a space before the text, so that a word is the same token wherever it stands
    escape      spaces become U+2581, which makes them ordinary characters of pieces

Each of the four may be off, and with all four off a text is left as it is. The rules come as a
double-array trie (Aoe 1989, in the layout of the library darts-clone) over UTF-8, 32 bits a node:

    bits 0..7     the byte that leads here; bit 31 is set in a node that holds a value
    bit 8         one of its children, that of byte 0, holds a value: a rule ends here
    bit 9         the offset counts in steps of 256
    bits 10..30   offset: the child of a node by byte b is at position ^ offset ^ b

Read next: sentencepiece.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tinygpt.tokenizer.files import TokenizerError

SPACE = "\u2581"
_NO_CHARACTER = re.compile("[\ud800-\udfff]")  # bytes that are not UTF-8, as to_str gives them
_REMEMBERED = 2**16  # steps of the trie
_NO_POINT = 2**32 - 1  # behind the last character


@dataclass(frozen=True)
class Normalizer:
    """Text to normalized text.

    charsmap: SentencePiece's `precompiled_charsmap`, b"" for no rules.
    prefix_once: the prefix is left out where the text begins with a space already, as Hugging
        Face's Metaspace does; SentencePiece puts it before every text.
    space_is_suffix: the prefix stands behind the text.
    """

    charsmap: bytes = b""
    add_dummy_prefix: bool = True
    remove_extra_whitespaces: bool = True
    escape_whitespaces: bool = True
    prefix_once: bool = False
    space_is_suffix: bool = False

    @cached_property
    def rules(self) -> Charsmap | None:
        """The charsmap, read.  Raises TokenizerError for a damaged one."""
        return Charsmap(self.charsmap) if self.charsmap else None

    @property
    def prefix(self) -> str:
        """What stands before a text and is not of it."""
        at_start = self.add_dummy_prefix and not self.space_is_suffix
        return (SPACE if self.escape_whitespaces else " ") if at_start else ""

    def __call__(self, text: str, kept: re.Pattern[str] | None = None) -> str:
        """The normalized text.

        kept: matches what no rule may touch.  A lone surrogate becomes U+FFFD.
        """
        if not text:
            return ""
        text = _NO_CHARACTER.sub("\ufffd", text)
        if self.rules and kept:
            parts = kept.split(text)  # kept has one group: every second part is a match of it
            parts[::2] = map(self.rules.apply, parts[::2])
            text = "".join(parts)
        elif self.rules:
            text = self.rules.apply(text)
        if self.remove_extra_whitespaces:
            if text and not text.strip(" "):
                return ""
            text = re.sub(" {2,}", " ", text).lstrip(" ")
        space = SPACE if self.escape_whitespaces else " "
        text = text.replace(" ", space)
        if not (self.prefix_once and text.startswith(space)):
            text = self.prefix + text
        if self.remove_extra_whitespaces:
            text = text.rstrip(space)
        return text + space if self.add_dummy_prefix and self.space_is_suffix else text


class Charsmap:
    """Rules "this text becomes that one", the longest first."""

    def __init__(self, blob: bytes):
        size = int.from_bytes(blob[:4], "little")
        if len(blob) <= 4 or size % 4 or not 0 < size <= len(blob) - 4:
            raise TokenizerError(
                f"its normalization rules are damaged: {len(blob)} bytes cannot hold a trie of "
                f"{size}. Restore the file."
            )
        self._units: list[int] = np.frombuffer(blob, "<u4", size // 4, 4).tolist()
        self._texts = blob[4 + size :]
        self._steps: dict[tuple[int, str], tuple[int, str | None]] = {}

    def apply(self, text: str) -> str:
        """The text with every rule applied, from left to right.

        Few characters begin a rule: which do is asked once for each pair of neighbours that there
        is, and what lies between is copied as it stands.
        """
        if not text:
            return ""
        points = np.frombuffer(text.encode("utf-32-le"), "<u4").astype(np.int64)
        pairs = points << 32
        pairs[:-1] |= points[1:]
        pairs[-1] |= _NO_POINT
        kinds, which = np.unique(pairs, return_inverse=True)
        begins = np.array([self._may_begin(p >> 32, p & _NO_POINT) for p in kinds.tolist()])
        out, here = [], 0
        for start in np.flatnonzero(begins[which]).tolist():
            if start >= here:
                found, end = self._longest(text, start)
                out += [text[here:start], text[start:end] if found is None else found]
                here = end
        return "".join([*out, text[here:]])

    def _may_begin(self, point: int, behind: int) -> bool:
        """May a rule begin with this code point, before that one?"""
        node, value = self._step(0, chr(point))
        if node >= 0 and value is None and behind != _NO_POINT:
            node, value = self._step(node, chr(behind))
            return node >= 0 or value is not None
        return value is not None

    def _longest(self, text: str, start: int) -> tuple[str | None, int]:
        """(what the longest rule that fits says, None for no rule; where its text ends)."""
        node, found, at, end = 0, None, start, start + 1
        while node >= 0 and at < len(text):
            node, value = self._step(node, text[at])
            at += 1
            if value is not None:
                found, end = value, at
        return found, end

    def _step(self, node: int, character: str) -> tuple[int, str | None]:
        """(node after a character, -1 for none; what a rule that ends there says, else None)."""
        known = self._steps.get((node, character))
        if known is None:
            if len(self._steps) >= _REMEMBERED:
                self._steps.clear()
            known = self._steps[node, character] = self._walk(node, character.encode())
        return known

    def _walk(self, node: int, data: bytes) -> tuple[int, str | None]:
        units = self._units
        for byte in data:
            node ^= _offset(units[node]) ^ byte
            if node >= len(units) or units[node] & 0x800000FF != byte:
                return -1, None
        if not units[node] >> 8 & 1:
            return node, None
        leaf = node ^ _offset(units[node])
        start = units[leaf] & 0x7FFFFFFF if leaf < len(units) else len(self._texts)
        end = self._texts.find(b"\0", start)
        if start >= len(self._texts) or end < 0:
            raise TokenizerError("a normalization rule points outside its file. Restore the file.")
        return node, self._texts[start:end].decode("utf-8", "replace")


def _offset(unit: int) -> int:
    return unit >> 10 << ((unit & 0x200) >> 6)
