r"""Cutting text into pre-tokens: merges never cross the cuts made here.

Without cuts, BPE would spend its vocabulary on "dog." "dog," and "dog!". Each pattern below is a
regular expression whose successive matches cover the text: words with the space before them,
numbers, punctuation, white space. They are written so that `regex`, Oniguruma (Hugging Face) and
fancy-regex (tiktoken) all read them alike.

    gpt2    Radford et al. 2019. Words, numbers and punctuation, each with one space before.
    cl100k  GPT-4, as tiktoken has it today. Numbers in threes, any one sign may lead a word, line
            ends stay with the punctuation before them; white space that ends the text is one piece.
    llama3  Llama 3. As cl100k, but white space that ends the text is cut after its last line end.
    o200k   GPT-4o. A word ends where a capital follows a small letter, and keeps its 's and 're;
            marks (accents written apart) belong to words.

A pattern, one of these or the user's own, becomes a table for c/scan.h when it is written in the
part of the syntax that syntax.py reads (`automaton`); else `regex` runs it, some ten times slower
(`how_cut` says which and why). `split` here is the specification of both.

Bytes that are not UTF-8 are read with "surrogateescape": each becomes one character that is
neither letter, number nor space, and comes back as the byte it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING

from tinygpt.tokenizer import unicode
from tinygpt.tokenizer.automaton import Automaton, compile_pattern
from tinygpt.tokenizer.base import Text
from tinygpt.tokenizer.files import TokenizerError
from tinygpt.tokenizer.syntax import Unsupported

if TYPE_CHECKING:
    import regex  # else inside functions: patterns that tables know need none of it

_ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORDS = (
    rf"{_ENDINGS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*"
)
_CAPITAL, _SMALL = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
PATTERNS = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "cl100k": _WORDS + r"|\s+(?![\s\S])|\s*[\r\n]+|\s+(?!\S)|\s+",
    "llama3": _WORDS + r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    "o200k": (
        rf"[^\r\n\p{{L}}\p{{N}}]?{_CAPITAL}*{_SMALL}+{_ENDINGS}?"
        rf"|[^\r\n\p{{L}}\p{{N}}]?{_CAPITAL}+{_SMALL}*{_ENDINGS}?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
}

# A foreign file may hold any expression, and an engine that backtracks can be sent on errands
# without end, while it compiles as well as while it runs. Public patterns have at most 400
# characters.
_LONGEST_PATTERN = 10_000  # characters
_LARGEST_PATTERN = 100_000  # parts, when {n,m} is written out
TIME_FOR_A_MATCH = 5.0  # seconds of processor time; a real match takes a microsecond
_TOO_SLOW = (
    "the pattern {!r} backtracks without end at position {} of this text. Use one of {}, or write "
    "it without repeats inside of repeats."
)


def pattern_text(pattern: str) -> str:
    """The regular expression called `pattern`, or `pattern` itself when it is one.

    Raises TokenizerError for an expression that does not compile or is far too large.
    """
    if pattern not in PATTERNS:
        _compile(pattern)
    return PATTERNS.get(pattern, pattern)


def pattern_name(text: str) -> str:
    """The name of a known pattern, else the text itself: the inverse of `pattern_text`."""
    return next((name for name, known in PATTERNS.items() if known == text), text)


def automaton(pattern: str) -> Automaton | None:
    """The table of a pattern, None when `regex` has to run it."""
    return _automaton(pattern)[0]


def how_cut(pattern: str) -> str:
    """What cuts by this pattern, and why, in one line."""
    reason = _automaton(pattern)[1]
    if reason:
        return f"the regex module (Unicode of its own), because {reason}"
    return f"a table made from the pattern (Unicode {unicode.VERSION})"


@lru_cache(maxsize=16)
def _automaton(pattern: str) -> tuple[Automaton | None, str]:
    try:
        return compile_pattern(PATTERNS.get(pattern, pattern)), ""
    except Unsupported as reason:
        return None, str(reason)


def split(text: Text, pattern: str) -> list[bytes]:
    """Cut text into pre-tokens whose concatenation is the text, in UTF-8.

    What a user's own pattern skips becomes a pre-token too, so that no byte is ever lost.
    Raises TokenizerError for a pattern that backtracks without end.

    >>> split("Hello, world 2024!", "cl100k")
    [b'Hello', b',', b' world', b' ', b'202', b'4', b'!']
    """
    text = to_str(text)
    read = text if automaton(pattern) is None else _as_pinned(text)
    pieces, end = [], 0
    for match in _matches(pattern, read):
        if match.start() > end:
            pieces.append(text[end : match.start()])
        end = match.end()
        pieces.append(text[match.start() : end])
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


def _matches(pattern: str, text: str) -> Iterator[regex.Match]:
    """The matches in `text` that are not empty, each found in a bounded time."""
    compiled = _compile(pattern)
    if pattern in PATTERNS:  # known not to backtrack; watching the clock costs as much as matching
        yield from compiled.finditer(text)
        return
    at, before = 0, -1
    while at > before:
        before = at
        try:
            for match in compiled.finditer(text, pos=at, timeout=TIME_FOR_A_MATCH):
                at = match.end()
                if match.start() < at:
                    yield match
            return
        except TimeoutError:
            continue  # the time of all matches together: go on where the last one ended
        except MemoryError:
            break
    raise TokenizerError(_TOO_SLOW.format(pattern, at, ", ".join(PATTERNS)))


@lru_cache(maxsize=16)
def _compile(pattern: str) -> regex.Pattern:
    text = PATTERNS.get(pattern, pattern)
    names = ", ".join(PATTERNS)
    if len(text) > _LONGEST_PATTERN or _written_out(text) > _LARGEST_PATTERN:
        raise TokenizerError(
            f"the pattern {text[:40]!r}... is too large: {len(text)} characters, "
            f"{_written_out(text)} parts with its repeats written out. Use one of {names}, or a "
            "shorter one."
        )
    if _RECURSIVE.search(text):
        raise TokenizerError(f"the pattern {text!r} calls itself. Use one of {names}.")
    import regex

    try:
        return regex.compile(text)
    except (regex.error, RecursionError) as error:
        raise TokenizerError(
            f"the pattern {text[:200]!r} is not a regular expression: {error}. Use one of {names}, "
            "or correct it."
        ) from None


_RECURSIVE = re.compile(r"(?<!\\)\(\?(?:R|[+-]?[0-9]|&|P>)")
_PART = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\{([0-9]+)?,?([0-9]+)?\}|.", re.DOTALL)


def _written_out(text: str) -> int:
    """About how many parts a pattern has when x{3} is written xxx, as `regex` does."""
    sizes, last = [0], 0
    for part in _PART.finditer(text):
        if part[0] == "(":
            sizes.append(0)
        elif part[0] == ")" and len(sizes) > 1:
            last = sizes.pop()
            sizes[-1] += last
        elif part[1] or part[2]:
            times = max(int(part[1] or 0), int(part[2] or 0), 1)
            sizes[-1] += last * (times - 1)
            last *= times
        else:
            last = 1
            sizes[-1] += 1
    return sum(sizes)


# --- one version of Unicode, whatever `regex` was built with -------------------------------------


def _as_pinned(text: str) -> str:
    """The text with a stand-in for each character that `regex` takes for another kind."""
    if text.isascii():
        return text
    return text.translate({ord(c): _stand_in(c) for c in set(text) if _stand_in(c) != c})


@lru_cache(maxsize=2**16)
def _stand_in(character: str) -> str:
    import regex

    starts, categories = unicode.runs()
    category = categories[starts.searchsorted(ord(character), side="right") - 1]
    of_its_kind = regex.compile(rf"\p{{{unicode.NAMES[category]}}}")
    others = map(chr, starts[categories == category][::-1].tolist())  # the rarest first
    return next(c for c in (character, *others) if of_its_kind.match(c))
