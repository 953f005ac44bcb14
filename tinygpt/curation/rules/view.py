"""A text as the rules see it: words, lines and paragraphs, each made once, when first asked for.

A word is what stands between white space, punctuation at its ends left out; what is nothing but
punctuation is no word. (The papers do not define one. Dolma splits at white space too; datatrove
asks a tokenizer of the language.) In scripts without spaces a character is a word for counting, and
the rules about the lengths of words do not apply.

A word is known by a hash of 64 bits: Python would make an object of each, and that took most of a
curation's time. What is a space or a letter is Python's str.isspace and str.isalpha; the kernel
(kernels/numpy_ref/word_ngrams.py) is told in a table.

Read next: gopher.py.
"""

from __future__ import annotations

import re
import string
from collections.abc import Collection
from functools import cached_property, lru_cache

import numpy as np

from minigrad.ops import word_ngrams

ENDS = string.punctuation + "«»„“”‚‘’‹›…–—·•¡¿、。，；：？！「」『』（）《》।॥؟،؛"
SENTENCE_ENDS, CLOSERS, FULL_STOPS = ".!?。！？।؟", "\"'»”’)]", "。！？।"  # those need no space
# Scripts whose words no space divides: Thai to Myanmar, Khmer, Kana, Han.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\U00020000-\U0002ffff]"
)
UNSPACED_SHARE = 0.3
LETTERS_END = 0x34000  # beyond it Unicode has no letter and no space
LONGEST = 10  # words of the longest n-grams that a rule asks for


@lru_cache(maxsize=1)
def kinds() -> np.ndarray:
    """(LETTERS_END,) uint8: what each code point is to the kernel."""
    made = np.zeros(LETTERS_END, np.uint8)
    every = np.arange(LETTERS_END, dtype=np.uint32).view("U1")
    made[np.char.isalpha(every)] = word_ngrams.LETTER
    made[np.char.isspace(every)] = word_ngrams.SPACE
    for bit, characters in (
        (word_ngrams.EDGE, ENDS), (word_ngrams.STOP, SENTENCE_ENDS),
        (word_ngrams.CLOSE, CLOSERS), (word_ngrams.FULL, FULL_STOPS),
    ):
        made[[ord(character) for character in characters]] |= bit
    return made


def _split(text: str, every: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    return word_ngrams.split_words(points.astype(np.uint32, copy=False), kinds(), every)


def _again(texts: list[str]) -> tuple[float, float]:
    """(share of texts, share of characters) after the first of their kind."""
    if not texts:
        return 0.0, 0.0
    seen = set(texts)
    characters = sum(map(len, texts))
    repeated = characters - sum(map(len, seen))
    return 1 - len(seen) / len(texts), repeated / characters


class View:
    """text: a document's.  stop_words: the commonest words of its language."""

    def __init__(self, text: str, stop_words: Collection[str] = ()):
        self.text = text
        self.common = stop_words

    @cached_property
    def unspaced(self) -> bool:
        """Is it written without spaces?"""
        text = self.text
        return not text.isascii() and len(UNSPACED.findall(text)) > UNSPACED_SHARE * len(text)

    @cached_property
    def _split(self) -> tuple[np.ndarray, np.ndarray, list[int]]:
        """(hashes, lengths, [tokens, tokens without a letter, sentences])."""
        hashes, lengths, counts = _split(self.text, self.unspaced)
        return hashes, lengths, counts.tolist()

    @cached_property
    def words(self) -> int:
        """How many words."""
        return len(self._split[0])

    @cached_property
    def characters(self) -> int:
        """Of all words together."""
        return int(self._split[1].sum())

    @cached_property
    def tokens(self) -> tuple[int, int]:
        """(how many, how many without a letter).  What is only punctuation is a token too."""
        tokens, unlettered, _ = self._split[2]
        return tokens, unlettered

    @cached_property
    def sentences(self) -> int:
        """How many ends of a sentence, before white space."""
        return self._split[2][2]

    @cached_property
    def ngrams(self) -> list[list[int]]:
        """For n = 2 ... LONGEST what word_ngrams.repeated_ngrams counts."""
        hashes, lengths, _ = self._split
        found: list[list[int]] = word_ngrams.repeated_ngrams(hashes, lengths, LONGEST).tolist()
        return found

    @cached_property
    def stop_words(self) -> int:
        """How many of the commonest words of its language it has, in any case."""
        asked, held = (
            _split(text.lower(), False)[0] for text in (" ".join(self.common), self.text)
        )
        return sum(bool((held == word).any()) for word in np.unique(asked))

    @cached_property
    def repeated_lines(self) -> tuple[float, float]:
        """(share of lines, share of their characters) after the first of their kind."""
        return _again(self.lines)

    @cached_property
    def repeated_paragraphs(self) -> tuple[float, float]:
        """The same of paragraphs."""
        return _again(self.paragraphs)

    @cached_property
    def lines(self) -> list[str]:
        """Those that are not empty."""
        return list(filter(None, map(str.strip, self.text.split("\n"))))

    @cached_property
    def line_starts(self) -> str:
        """The first character of each line: a rule counts there what it looks for."""
        return "".join([line[0] for line in self.lines])

    @cached_property
    def line_ends(self) -> str:
        """The last character of each line."""
        return "".join([line[-1] for line in self.lines])

    @cached_property
    def paragraphs(self) -> list[str]:
        """Those that are not empty, between blank lines."""
        return list(filter(None, map(str.strip, self.text.split("\n\n"))))
