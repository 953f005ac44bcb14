r"""Cutting text into pre-tokens: merges never cross the cuts made here.

Without cuts, BPE would spend its vocabulary on "dog." "dog," and "dog!". Each pattern below is a
regular expression whose successive matches cover the text: words with the space before them,
numbers, punctuation, white space. They are written so that `regex`, Oniguruma (Hugging Face) and
fancy-regex (tiktoken) all read them alike, and c/scan.c computes the same cuts without a regular
expression engine; `split` here is its specification.

    gpt2    Radford et al. 2019. Words, numbers and punctuation, each with one space before.
    cl100k  GPT-4, as tiktoken has it today. Numbers in threes, any one sign may lead a word, line
            ends stay with the punctuation before them; white space that ends the text is one piece.
    llama3  Llama 3. As cl100k, but white space that ends the text is cut after its last line end.

Bytes that are not UTF-8 are read with "surrogateescape": each becomes one character that is
neither letter, number nor space, and comes back as the byte it was.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate

import numpy as np
import regex

from tinygpt.tokenizer.base import Text
from tinygpt.tokenizer.files import TokenizerError

_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*"
)
PATTERNS = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "cl100k": _WORDS + r"|\s+(?![\s\S])|\s*[\r\n]+|\s+(?!\S)|\s+",
    "llama3": _WORDS + r"|\s*[\r\n]+|\s+(?!\S)|\s+",
}

# Classes of code points, as c/scan.c knows them.
OTHER, LETTER, NUMBER, SPACE, NEWLINE = range(5)


def pattern_text(pattern: str) -> str:
    """The regular expression called `pattern`, or `pattern` itself when it is one.

    Raises TokenizerError for an expression that does not compile.
    """
    text = PATTERNS.get(pattern, pattern)
    _compile(text)
    return text


def pattern_name(text: str) -> str:
    """The name of a known pattern, else the text itself: the inverse of `pattern_text`."""
    return next((name for name, known in PATTERNS.items() if known == text), text)


def split(text: Text, pattern: str) -> list[bytes]:
    """Cut text into pre-tokens whose concatenation is the text, in UTF-8.

    What a user's own pattern skips becomes a pre-token too, so that no byte is ever lost.

    >>> split("Hello, world 2024!", "cl100k")
    [b'Hello', b',', b' world', b' ', b'202', b'4', b'!']
    """
    text = to_str(text)
    pieces, end = [], 0
    for match in _compile(PATTERNS.get(pattern, pattern)).finditer(text):
        if match.end() == match.start():
            continue
        if match.start() > end:
            pieces.append(text[end : match.start()])
        pieces.append(match.group())
        end = match.end()
    if end < len(text):
        pieces.append(text[end:])
    return [to_bytes(piece) for piece in pieces]


def piece_ends(data: bytes, pattern: str) -> list[int]:
    """Where each pre-token of `data` ends, in bytes."""
    return list(accumulate(map(len, split(data, pattern))))


def to_str(text: Text) -> str:
    """Text as str; bytes that are not UTF-8 become lone surrogates U+DC80..U+DCFF."""
    return text if isinstance(text, str) else text.decode("utf-8", "surrogateescape")


def to_bytes(text: Text) -> bytes:
    """Text as UTF-8; the inverse of `to_str`.  Raises TokenizerError for other lone surrogates."""
    if isinstance(text, bytes):
        return text
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise TokenizerError(
            f"the text holds a lone surrogate {text[error.start]!r} at position {error.start}, "
            "which no file can store. Decode the text with errors='surrogateescape' or 'replace'."
        ) from None


@lru_cache(maxsize=16)
def _compile(text: str) -> regex.Pattern:
    try:
        return regex.compile(text)
    except regex.error as error:
        names = ", ".join(PATTERNS)
        raise TokenizerError(
            f"the pattern {text!r} is not a regular expression: {error}. Use one of {names}, or "
            "correct it."
        ) from None


@lru_cache(maxsize=1)
def character_classes() -> np.ndarray:
    """The class of each code point, (0x110000,) uint8, asked of `regex` itself (about 30 ms).

    So the compiled scanner and `regex` cannot disagree about Unicode, whatever their versions.
    """
    everything = np.arange(0x110000, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")
    classes = np.full(0x110000, OTHER, np.uint8)
    for name, expression in (
        (LETTER, r"\p{L}+"),
        (NUMBER, r"\p{N}+"),
        (SPACE, r"\s+"),
        (NEWLINE, r"[\r\n]+"),
    ):
        for match in regex.finditer(expression, everything):
            classes[match.start() : match.end()] = name
    return classes
