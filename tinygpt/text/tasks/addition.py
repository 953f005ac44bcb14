"""Sums of two numbers of up to three digits, worked out from the last digit as on paper.

    468 + 579        7401 -> 1047

A model writes from the left, and the first digit of a sum depends on every carry behind it; written
from the last digit, each depends on two digits and one carry (Lee et al. 2023). What is found so is
then turned around.
"""

from __future__ import annotations

import numpy as np

from tinygpt.text.conversations import Conversation, asked

LARGEST = 999


def answer(a: int, b: int) -> str:
    """The sum from its last digit, and as it is written.

    >>> answer(468, 579)
    '7401 -> 1047'
    """
    total = str(a + b)
    return f"{total[::-1]} -> {total}"


def make(count: int, seed: int) -> list[Conversation]:
    """`count` different sums, uniform over all.  Raises ValueError for more than there are."""
    pairs = (LARGEST + 1) ** 2
    if not 1 <= count <= pairs:
        raise ValueError(f"addition: {count} of {pairs} sums")
    chosen = np.random.default_rng(seed).choice(pairs, count, replace=False)
    both = (divmod(int(n), LARGEST + 1) for n in chosen)
    return [asked(f"{a} + {b}", answer(a, b)) for a, b in both]
