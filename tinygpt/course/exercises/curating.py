"""Curation: what repeats itself, and what belongs to somebody."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygpt.course.draw import Draw
from tinygpt.course.exercise import Exercise, Question, mistake

PII = "tinygpt.curation.pii"
CHAPTER = "curation.md"


def _repeating(draw: Draw) -> tuple[Any, ...]:
    """Words by number, their lengths, the longest n."""
    words = draw.ids((draw.integer(0, 14),), 3)
    lengths = np.array([1, 2, 4])[words]
    return words.astype(np.uint64), lengths, draw.integer(2, 4)


def _rules() -> list[float]:
    """What the rules of repetition say of a text."""
    from tinygpt.curation.rules import repetition
    from tinygpt.curation.rules.view import View

    view = View("The cat sat on the mat. The cat sat on a log, and the cat sat on the mat. " * 2)
    return [rule(view) for rule in (repetition.top(2), repetition.top(4), repetition.duplicated(5))]


REPETITION = Exercise(
    name="repetition", title="How much of it comes twice", kind="write",
    target="kernels.numpy_ref.word_ngrams:repeated_ngrams", chapter=CHAPTER, minutes=35,
    hints=(
        "Of each n: which n words in a row stand there at all, and how often? A Counter of tuples "
        "will do; for arrays, give each (n-1)-gram a number and add a word to it.",
        "Mark each word that lies in at least one n-gram that stands there twice: +1 where one "
        "begins, -1 behind its end, and the running sum says in how many a word is.",
        "The commonest one's characters are those of its n words; of several that are as common, "
        "the longest. Where nothing comes twice the row is 0.",
    ),
    call=_repeating, inputs=150, joins=_rules, joined="three rules of repetition",
    mistakes=(
        mistake("the first of equals does not count",
                "It stands there twice: both are repetition.",
                "np.add.at(inside, starts, 1)\n        np.add.at(inside, starts + n, -1)",
                "again = np.delete(starts, np.unique(ids, return_index=True)[1])\n"
                "        np.add.at(inside, again, 1)\n        np.add.at(inside, again + n, -1)"),
        mistake("where they overlap characters count twice",
                "A word is in or it is not, however many n-grams lie over it.",
                "lengths[np.cumsum(inside)[:-1] > 0].sum()",
                "(lengths * np.cumsum(inside)[:-1]).sum()"),
        mistake("words are counted, not characters",
                "Each word counts by its length.",
                "lengths[np.cumsum(inside)[:-1] > 0].sum()",
                "(np.cumsum(inside)[:-1] > 0).sum()"),
        mistake("an n-gram ends a word early",
                "It covers n words: -1 stands at start + n.",
                "np.add.at(inside, starts + n, -1)", "np.add.at(inside, starts + n - 1, -1)"),
        mistake("of ties the shortest is taken", "The longest.",
                "(before[best + n] - before[best]).max()",
                "(before[best + n] - before[best]).min()"),
        mistake("of ties the first is taken", "The longest.",
                "(before[best + n] - before[best]).max()", "(before[best + n] - before[best])[0]"),
        mistake("all of the commonest are added up",
                "The characters of one of them; how often it stands there is said beside it.",
                "(before[best + n] - before[best]).max()",
                "(before[best + n] - before[best]).sum()"),
        mistake("it says how often again",
                "How often it stands there, the first time too.",
                "= times.max(), (before", "= times.max() - 1, (before"),
    ),
)


def _card(draw: Draw) -> tuple[Any, ...]:
    digits = [draw.integer(0, 9) for _ in range(draw.integer(1, 8))]
    if draw.flag():
        doubled = [2 * d - 9 * (2 * d > 9) if at % 2 else d
                   for at, d in enumerate(reversed(digits))]
        digits[-1] = (digits[-1] - sum(doubled)) % 10
    return ("".join(map(str, digits)),)


LUHN_MISTAKES = (
    mistake("it counts from the left",
            "Every second digit from the right: the length of a number may be odd.",
            "enumerate(reversed(digits))", "enumerate(digits)"),
    mistake("the last digit is doubled",
            "The last is the check digit itself; the one before it is the first that is doubled.",
            "(2 if at % 2 else 1)", "(1 if at % 2 else 2)"),
    mistake("what is above 9 stays there",
            "Of 2 x 7 = 14 the digits are added: 5, which is 14 - 9.",
            "value - 9 if value > 9 else value", "value"),
    mistake("the check digit is left out",
            "It is what makes the sum end in 0.",
            "reversed(digits)", "reversed(digits[:-1])"),
    mistake("a 9 that is not doubled becomes 0",
            "Only what is above 9 has two digits.",
            "value > 9", "value >= 9"),
    mistake("every digit is doubled",
            "Every second one, or an exchange of neighbours would not be seen.",
            "(2 if at % 2 else 1)", "2"),
    mistake("the sum is divided by 9",
            "It must end in 0: by 10.",
            "total % 10", "total % 9"),
)

LUHN = Exercise(
    name="luhn", title="Is it a card's number?", kind="write", target=f"{PII}:luhn",
    chapter=CHAPTER, minutes=10,
    hints=(
        "From the right, every second digit is doubled; the last one is not.",
        "If that gives two digits, add them: 14 becomes 1 + 4 = 5, which is 14 - 9.",
        "All together must be divisible by 10.",
    ),
    call=_card, inputs=200, mistakes=LUHN_MISTAKES,
)

LUHN_HUNT = Exercise(
    name="luhn-hunt", title="A test for Luhn's sum", kind="hunt", target=f"{PII}:luhn",
    chapter=CHAPTER, minutes=15, after=("luhn",),
    hints=(
        "Make a number by hand: choose digits, work out the last one. It must pass, and with any "
        "other last digit it must not.",
        "An even and an odd length; digits that become 10 and more when doubled; a 9 that is not "
        "doubled.",
        "Try all numbers below 100: of each ten exactly one passes. Which?",
    ),
    begins='    assert luhn("0")\n', mistakes=LUHN_MISTAKES,
    equals=(
        mistake("with the digits of the doubled one added", "14: 1 + 4.",
                "value - 9 if value > 9 else value", "value // 10 + value % 10"),
        mistake("with the last digit of the sum compared", "It ends in 0.",
                "total % 10 == 0", 'str(total)[-1] == "0"'),
        mistake("with a slice turned round", "[::-1] is reversed.",
                "reversed(digits)", "digits[::-1]"),
    ),
)


def _account(draw: Draw) -> tuple[Any, ...]:
    letters = "ABEGNZ"
    country = "".join(letters[draw.integer(0, 5)] for _ in range(2))
    body = "".join("0123456789AZ"[draw.integer(0, 11)] for _ in range(draw.integer(1, 6)))
    sum_ = int("".join(str(int(c, 36)) for c in f"{body}{country}00"))
    check = 98 - sum_ % 97 if draw.flag() else draw.integer(2, 98)
    return (f"{country}{check:02d}{body}",)


IBAN = Exercise(
    name="iban", title="Is it a bank account?", kind="write", target=f"{PII}:mod97",
    chapter=CHAPTER, minutes=10, after=("luhn",),
    hints=(
        "The first four characters (country and check digits) go to the end.",
        "A letter becomes two digits: A is 10, Z is 35. int(c, 36) knows that.",
        "The whole, as one number, leaves 1 when it is divided by 97. Python's numbers hold it.",
    ),
    call=_account, inputs=200,
    mistakes=(
        mistake("nothing is moved",
                "The four characters in front go to the end first.",
                "moved = iban[4:] + iban[:4]", "moved = iban"),
        mistake("only the country is moved",
                "The check digits go with it: four characters.",
                "iban[4:] + iban[:4]", "iban[2:] + iban[:2]"),
        mistake("A is 0", "A is 10: the digits have 0 to 9.",
                "int(c, 36)", "ord(c) - 65 if c.isalpha() else int(c)"),
        mistake("A is 1", "A is 10: the digits have 0 to 9.",
                "int(c, 36)", "ord(c) - 64 if c.isalpha() else int(c)"),
        mistake("it must leave 0",
                "98 less the rest was written into it, so that 1 is left.",
                "== 1", "== 0"),
        mistake("a letter becomes one digit",
                "Two: B is 11, and not 1.",
                "int(c, 36)", "int(c, 36) % 10"),
        mistake("the check digits are left out",
                "They are what makes it come out.",
                "iban[4:] + iban[:4]", "iban[4:] + iban[:2]"),
    ),
)


COPIES = Exercise(
    name="copies", title="What is found, beforehand", kind="predict", target="",
    chapter=CHAPTER, minutes=10, after=("jaccard", "minhash", "repetition"),
    hints=(
        "A row agrees with probability J, a band if all its rows do, and a pair is looked at if "
        "any band agrees.",
        "Any of b: one less the probability that none does.",
        "Luhn, from the right: the missing digit itself is not doubled.",
    ),
    questions=(
        Question("a", "One text has 8 shingles, another 8 too, and 4 are in both. Their Jaccard "
                 "index?", lambda: 4 / 12,
                 ((0.5, "That is the share of one of them; below stands the union, 12."),
                  (0.25, "8 + 8 counts the common ones twice."))),
        Question("b", "J = 0.5, and 10 bands of 2 rows each. With what probability are the two "
                 "looked at?", lambda: 1 - (1 - 0.5**2) ** 10,
                 ((0.25, "That is one band; any of ten will do."),
                  (1 - (1 - 0.5**10) ** 2, "Rows and bands are exchanged."),
                  (0.5, "That is one row."))),
        Question("c", "How many pairs are there among 1000 documents?", lambda: 1000 * 999 // 2,
                 ((1000 * 1000, "Each pair is in it twice, and each document with itself."),
                  (1000 * 999, "Each pair is in it twice."))),
        Question("d", 'Which last digit makes "7992739871" a number that Luhn accepts?', lambda: 3,
                 ((7, "That is the rest itself; what is missing to the next ten is asked for."),
                  (0, "Then nothing would have been checked."))),
        Question("e", '"the cat sat the cat sat on the mat": which share of the words\' characters '
                 "lies in pairs of words that stand there twice?", lambda: 18 / 26,
                 ((6 / 9, "That is a share of words: each counts by its length."),
                  (9 / 26, "Both of two equals count."),
                  (18 / 34, "The spaces do not count."))),
    ),
)

EXERCISES = (REPETITION, LUHN, LUHN_HUNT, IBAN, COPIES)
