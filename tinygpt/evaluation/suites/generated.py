"""Tasks with known answers that are made here: counting, sums, copying, brackets, small worlds.

    addition    12 + 7 = 19                  by digits
    counting    kite kite kite: 3            by how many
    copying     moon kite: moon kite         by how many words
    brackets    close ( [ <: > ] )           by depth
    closing     a story and what it asks at its end: who has what, where things are

Each prompt shows four answered ones of its group, so that a model that was never taught the form
has it before its eyes; what is asked is drawn with the seed and differs from what is shown. Three
sizes: small, medium, large.

Read first: ../written.py. Read next: planted.py, code.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from tinygpt.evaluation.written import Task, WrittenSuite, exact, starts
from tinygpt.text.stories import words
from tinygpt.text.tasks.closing import questions

SIZES = {"small": 60, "medium": 200, "large": 1000}
SHOTS = 4
BRACKETS = {"(": ")", "[": "]", "<": ">", "{": "}"}
GROUPS = {  # name: the groups of a suite, and what they vary
    "addition": ("1 digit", "2 digits", "3 digits"),
    "counting": ("1 to 3", "4 to 6", "7 to 9"),
    "copying": ("2 words", "4 words", "8 words"),
    "brackets": ("depth 2", "depth 3", "depth 4"),
}
Pair = tuple[str, str]  # what is asked, with all up to the answer; the answer


def _addition(level: int, rng: np.random.Generator) -> Pair:
    a, b = rng.integers(0 if level == 0 else 10**level, 10 ** (level + 1), 2)
    return f"{a} + {b} =", f" {a + b}"


def _counting(level: int, rng: np.random.Generator) -> Pair:
    count = int(rng.integers(3 * level + 1, 3 * level + 4))
    return f"{' '.join([_word(rng)] * count)}:", f" {count}"


def _copying(level: int, rng: np.random.Generator) -> Pair:
    text = " ".join(_word(rng) for _ in range(2 ** (level + 1)))
    return f"{text}:", f" {text}"


def _brackets(level: int, rng: np.random.Generator) -> Pair:
    opened = rng.choice(list(BRACKETS), level + 2).tolist()
    return f"close {' '.join(opened)}:", f" {' '.join(BRACKETS[one] for one in opened[::-1])}"


NOUNS = tuple(sorted({*words.ANIMALS, *words.SINGULAR["toy"], *words.SINGULAR["treasure"]}))


def _word(rng: np.random.Generator) -> str:
    return str(NOUNS[int(rng.integers(len(NOUNS)))])


MAKERS: dict[str, Callable[[int, np.random.Generator], Pair]] = {
    "addition": _addition, "counting": _counting, "copying": _copying, "brackets": _brackets,
}


def pairs(name: str, level: int, count: int, rng: np.random.Generator) -> list[Pair]:
    """`count` pairs of a group, no two alike where there are so many."""
    found: dict[str, Pair] = {}
    for _ in range(50 * count):
        pair = MAKERS[name](level, rng)
        found.setdefault(pair[0], pair)
        if len(found) == count:
            break
    return list(found.values())


def generated_suite(name: str, size: str = "medium", seed: int = 0) -> WrittenSuite:
    """A suite of GROUPS, as many items of each group."""
    rng = np.random.default_rng([seed, *name.encode()])
    tasks = []
    for level, group in enumerate(GROUPS[name]):
        made = pairs(name, level, SIZES[size] // 3 + SHOTS, rng)
        shown = "".join(f"{ask}{answer}\n" for ask, answer in made[:SHOTS])
        for number, (ask, answer) in enumerate(made[SHOTS:], 1):
            item = f"{name}, {group}, {number}"
            tasks.append(Task(item, shown + ask, (answer,), item, 3 * len(answer) + 4, group=group))
    return WrittenSuite(name, tasks, {"exact": exact}, identity(tasks))


def closing_suite(size: str = "medium", seed: int = 0) -> WrittenSuite:
    """Stories that nobody has read, and what they ask at their end."""
    rng = np.random.default_rng([seed, 0xC105])
    tasks = []
    for number, (told, answer, choices) in enumerate(
        questions(SIZES[size], int(rng.integers(2**32))), 1
    ):
        word = told.splitlines()[-1].split()[0]
        group = {"Who": "who has it", "Where": "where it is"}.get(word, "yes or no")
        item = f"story {number}"
        tasks.append(Task(item, told, (answer,), item, len(answer) + 8, chance=1 / choices,
                          group=group))
    return WrittenSuite("closing", tasks, {"starts with it": starts}, identity(tasks))


def identity(tasks: Sequence[Task]) -> str:
    """A hash of all that is asked."""
    found = hashlib.blake2b(digest_size=16)
    for task in tasks:
        found.update(repr(tuple(task)).encode())
    return found.hexdigest()
