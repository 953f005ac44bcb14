"""What a document must be like to be learned from: rules, each a function of one text.

    value = gopher.words(view)          a number, NaN where the rule does not apply
    least <= value <= most              from a TOML file: rules.toml, or the user's --rules

So a rule never says "bad": it measures, the account keeps what it measured, and a line of TOML
draws the line. Rules that are about words do not apply to scripts written without spaces, and
those about common words take them from the corpus itself: none is tuned to English in secret.

Read next: view.py, gopher.py, repetition.py, c4.py, fineweb.py, settings.py.
"""

from __future__ import annotations

from collections.abc import Callable

from tinygpt.curation.rules import c4, fineweb, gopher, repetition
from tinygpt.curation.rules.view import View

Rule = Callable[[View], float]

# In the order in which they are asked; the first that a document fails is why it is dropped.
RULES: dict[str, Rule] = {
    "gopher.words": gopher.words,
    "gopher.word_length": gopher.word_length,
    "gopher.hashes": gopher.hashes,
    "gopher.ellipses": gopher.ellipses,
    "gopher.bullets": gopher.bullets,
    "gopher.ellipsis_lines": gopher.ellipsis_lines,
    "gopher.letters": gopher.letters,
    "gopher.stop_words": gopher.stop_words,
    "repetition.lines": repetition.lines,
    "repetition.paragraphs": repetition.paragraphs,
    "repetition.line_characters": repetition.line_characters,
    "repetition.paragraph_characters": repetition.paragraph_characters,
    **{f"repetition.top_{n}_gram": repetition.top(n) for n in repetition.TOP},
    **{f"repetition.{n}_grams": repetition.duplicated(n) for n in repetition.DUPLICATED},
    "c4.sentences": c4.sentences,
    "c4.braces": c4.braces,
    "c4.lorem_ipsum": c4.lorem_ipsum,
    "fineweb.line_ends": fineweb.line_ends,
    "fineweb.short_lines": fineweb.short_lines,
    "fineweb.line_breaks": fineweb.line_breaks,
    "fineweb.line_characters": repetition.line_characters,
}
