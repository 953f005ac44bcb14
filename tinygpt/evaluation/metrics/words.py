"""Where words begin and end: three ways, each of one metric.

    cut_13a     BLEU's: mteval-v13a's rules for European languages
    cut_marks   chrF++'s: a punctuation mark at a word's end or beginning is a word
    cut_letters ROUGE's: runs of letters and digits of any script

Each is a definition that results depend on, and none is a good tokenizer.
"""

from __future__ import annotations

import re
import string

import regex

# From `{` to `~`, `[` to backquote, blank to `&`, `(` to `+`, `:` to `@`, and `/`: not , - . '
_SYMBOLS = re.compile(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])")
_AFTER_NO_DIGIT = re.compile(r"([^0-9])([\.,])")
_BEFORE_NO_DIGIT = re.compile(r"([\.,])([^0-9])")
_DASH_AFTER_DIGIT = re.compile(r"([0-9])(-)")
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_LETTERS = regex.compile(r"[\p{L}\p{M}\p{N}]+")
_ASCII = re.compile(r"[a-z0-9]+")
MARKS = set(string.punctuation)


def cut_13a(text: str) -> list[str]:
    """Words and symbols; `.` and `,` stay inside numbers, `-` stands alone after a digit."""
    text = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    if "&" in text:
        for name, symbol in _ENTITIES:
            text = text.replace(name, symbol)
    text = _SYMBOLS.sub(r" \1 ", f" {text} ")
    text = _AFTER_NO_DIGIT.sub(r"\1 \2 ", text)
    text = _BEFORE_NO_DIGIT.sub(r" \1 \2", text)
    return _DASH_AFTER_DIGIT.sub(r"\1 \2 ", text).split()


def cut_marks(text: str) -> list[str]:
    """Words by white space; a mark at the end, else one at the beginning, is a word of its own."""
    found = []
    for word in text.split():
        if len(word) == 1:
            found.append(word)
        elif word[-1] in MARKS:
            found += [word[:-1], word[-1]]
        elif word[0] in MARKS:
            found += [word[0], word[1:]]
        else:
            found.append(word)
    return found


def cut_letters(text: str, ascii_only: bool = False) -> list[str]:
    """Runs of letters, their accents and digits, in small letters.

    ascii_only: of a to z and 0 to 9, as rouge-score has it.
    """
    return (_ASCII if ascii_only else _LETTERS).findall(text.lower())
