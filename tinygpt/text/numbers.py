"""Numbers by name: what an encoder-decoder can learn to write as digits, and back.

    name(407)     "four hundred and seven"
    pairs(1000)   a thousand numbers, each with its name

A number below a thousand is its hundreds, then "and" with what is left. A larger one is its
thousands, named as a number of their own, then the rest; a rest without hundreds is joined by "and"
as well: "two thousand and five", "two thousand one hundred and five".

Read next: ../seq2seq/pairs.py.
"""

from __future__ import annotations

import numpy as np

LARGEST = 999_999  # of six digits
ZERO = 4  # how much likelier each zero makes a number
BELOW_TWENTY = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def name(number: int) -> str:
    """An English name, British style.

    >>> name(0), name(21), name(110), name(40_013)
    ('zero', 'twenty-one', 'one hundred and ten', 'forty thousand and thirteen')

    Raises ValueError outside 0..LARGEST.
    """
    if not 0 <= number <= LARGEST:
        raise ValueError(f"name: {number} is outside 0..{LARGEST}")
    thousands, rest = divmod(number, 1000)
    if not thousands:
        return _below_thousand(rest)
    words = f"{_below_thousand(thousands)} thousand"
    if not rest:
        return words
    return f"{words} {'and ' if rest < 100 else ''}{_below_thousand(rest)}"


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return _below_hundred(rest)
    words = f"{BELOW_TWENTY[hundreds]} hundred"
    return f"{words} and {_below_hundred(rest)}" if rest else words


def _below_hundred(number: int) -> str:
    if number < 20:
        return BELOW_TWENTY[number]
    tens, ones = divmod(number, 10)
    return f"{TENS[tens]}-{BELOW_TWENTY[ones]}" if ones else TENS[tens]


def pairs(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """(name, digits) of `count` different numbers, in random order.

    All lengths have the same share, from one digit to six; where a length has no more numbers, the
    longer ones fill its place.  Each zero makes a number ZERO times as likely: round ones are what
    people say, and hardly occur by chance.  Raises ValueError for more numbers than there are.
    """
    if not 1 <= count <= LARGEST + 1:
        raise ValueError(f"pairs: {count} numbers of {LARGEST + 1}")
    rng = np.random.default_rng(seed)
    chosen: list[int] = []
    for digits in range(1, 7):
        share = (count - len(chosen)) // (7 - digits)
        numbers = np.arange(10 ** (digits - 1) if digits > 1 else 0, 10**digits)
        zeros = sum(numbers // 10**place % 10 == 0 for place in range(digits))
        # The largest of log w + Gumbel noise are a sample without replacement of weights w.
        order = np.argsort(-(zeros * np.log(ZERO) + rng.gumbel(size=len(numbers))))
        chosen += numbers[order[:share]].tolist()
    return [(name(n), str(n)) for n in rng.permutation(chosen).tolist()]
