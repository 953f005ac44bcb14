r"""What a letter is: the general categories of Unicode 16.0, whatever is installed here.

Each release of Unicode assigns some thousand code points more, and each program carries the tables
of its day: `regex` of 2026 and tiktoken 0.14 differ in 17,812 code points, and before `'t` each of
them was cut in two ways. Ids must not depend on the date of an installation, so the patterns are
read by one version: 16.0, the one in the regular expressions of Rust, hence in tiktoken.

categories.txt says it in runs: "Cc32 Zs1 Po3" are 32 control characters from U+0000 on, a space,
three punctuation marks.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import numpy as np

VERSION = "16.0"
N_POINTS = 0x110000

# White space is a property of its own, and settled: no version since 6.3 has changed it.
SPACES = (
    range(0x09, 0x0E), range(0x20, 0x21), range(0x85, 0x86), range(0xA0, 0xA1),
    range(0x1680, 0x1681), range(0x2000, 0x200B), range(0x2028, 0x202A), range(0x202F, 0x2030),
    range(0x205F, 0x2060), range(0x3000, 0x3001),
)
# What \w takes besides letters, marks, decimal digits, letter numbers and connectors: the joiners,
# and the circled and squared letters, which are "alphabetic" without being letters.
WORD_CATEGORIES = ("L", "M", "Nd", "Nl", "Pc")
WORD_EXTRAS = (
    range(0x200C, 0x200E), range(0x24B6, 0x24EA), range(0x1F130, 0x1F14A),
    range(0x1F150, 0x1F16A), range(0x1F170, 0x1F18A),
)


# The general categories, by their first letter: letters, marks, numbers, punctuation, symbols,
# separators, and what is none of these (control, format, surrogate, private use, not assigned).
NAMES = (
    "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi",
    "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn",
)


@lru_cache(maxsize=1)
def runs() -> tuple[np.ndarray, np.ndarray]:
    """Where each run of one category starts, (n,) int64, and which it is, (n,) index into NAMES."""
    text = Path(__file__).with_name("categories.txt").read_text(encoding="ascii")
    found = re.findall(r"([A-Z][a-z])(\d+)", text)
    lengths = np.array([int(length) for _, length in found], np.int64)
    number = {name: index for index, name in enumerate(NAMES)}
    return np.cumsum(lengths) - lengths, np.array([number[name] for name, _ in found])


def of_category(name: str) -> np.ndarray:
    """Which of NAMES a category stands for, (30,) bool: "Lu" for itself, "L" for all letters."""
    return np.array([known.startswith(name) for known in NAMES])
