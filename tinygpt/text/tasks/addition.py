"""Sums of two numbers of up to three digits, worked out from the last digit as on paper.

    468 + 579        7401 -> 1047

A model writes from the left, and the first digit of a sum depends on every carry behind it; written
from the last digit, each depends on two digits and one carry (Lee et al. 2023). What is found so is
then turned around.
"""

from __future__ import annotations

import numpy as np

from tinygpt.text.conversations import Conversation, asked

DIGITS = 3  # of a number at most
MOST = 200_000  # sums at once


def answer(a: int, b: int) -> str:
    """The sum from its last digit, and as it is written.

    >>> answer(468, 579)
    '7401 -> 1047'
    """
    total = str(a + b)
    return f"{total[::-1]} -> {total}"


def make(count: int, seed: int) -> list[Conversation]:
    """`count` different sums, of numbers of one to DIGITS digits alike.

    Uniform over all, nine numbers of ten would have three digits, and a model would hardly see what
    to do with others.  Raises ValueError for more than MOST.
    """
    if not 1 <= count <= MOST:
        raise ValueError(f"addition: {count} of {MOST} sums")
    rng, found = np.random.default_rng(seed), dict[tuple[int, int], None]()
    while len(found) < count:
        below = 10 ** rng.integers(1, DIGITS + 1, (count, 2))
        least = np.where(below == 10, 0, below // 10)
        drawn = rng.integers(least, below)
        found.update(dict.fromkeys((int(a), int(b)) for a, b in drawn))
    return [asked(f"{a} + {b}", answer(a, b)) for a, b in list(found)[:count]]
