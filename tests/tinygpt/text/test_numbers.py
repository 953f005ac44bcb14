"""Names of numbers: known ones, the rule on all short ones, and how they are drawn."""

import re

import pytest

from tinygpt.text.numbers import BELOW_TWENTY, LARGEST, TENS, name, pairs

KNOWN = {
    0: "zero", 7: "seven", 10: "ten", 13: "thirteen", 20: "twenty", 42: "forty-two",
    99: "ninety-nine", 100: "one hundred", 101: "one hundred and one",
    115: "one hundred and fifteen", 407: "four hundred and seven",
    890: "eight hundred and ninety", 999: "nine hundred and ninety-nine", 1000: "one thousand",
    1001: "one thousand and one", 1100: "one thousand one hundred",
    2019: "two thousand and nineteen", 10_000: "ten thousand",
    12_345: "twelve thousand three hundred and forty-five", 100_000: "one hundred thousand",
    200_005: "two hundred thousand and five",
    310_110: "three hundred and ten thousand one hundred and ten",
    999_999: "nine hundred and ninety-nine thousand nine hundred and ninety-nine",
}


@pytest.mark.parametrize("number", KNOWN)
def test_a_known_number_has_its_name(number):
    assert name(number) == KNOWN[number]


def read(text):
    """What a name means, by adding and multiplying up its words."""
    value = {word: n for n, word in enumerate(BELOW_TWENTY)}
    value |= {word: 10 * n for n, word in enumerate(TENS) if word}
    total = part = 0
    for word in re.split("[ -]", text):
        if word == "hundred":
            part *= 100
        elif word == "thousand":
            total, part = 1000 * part, 0
        elif word != "and":
            part += value[word]
    return total + part


def test_every_name_means_its_number_and_is_its_alone():
    numbers = [*range(2000), *range(0, LARGEST, 397), LARGEST]
    names = [name(n) for n in numbers]
    assert [read(text) for text in names] == numbers
    assert len(set(names)) == len(set(numbers))


@pytest.mark.parametrize("number", [-1, LARGEST + 1])
def test_a_number_that_has_no_name_here_is_refused(number):
    with pytest.raises(ValueError, match=f"{number} is outside"):
        name(number)


@pytest.mark.parametrize("count", [5, 10_000])
def test_pairs_are_different_numbers_by_name_and_digits(count):
    found = pairs(count, seed=3)
    assert len(found) == len(set(found)) == count
    assert all(text == name(int(digits)) for text, digits in found)
    assert found == pairs(count, seed=3) != pairs(count, seed=4)


def test_all_lengths_are_drawn_alike_while_there_are_numbers_left():
    lengths = [len(digits) for _, digits in pairs(6000)]
    assert [lengths.count(n) for n in (1, 2, 3)] == [10, 90, 900]
    assert all(1600 < lengths.count(n) < 1720 for n in (4, 5, 6))
    assert len(pairs(150_000)) == 150_000


def test_round_numbers_are_likelier_than_by_chance():
    digits = [text for _, text in pairs(6000) if len(text) == 6]
    zeros = sum(text.count("0") for text in digits) / (5 * len(digits))
    assert 0.27 < zeros < 0.34  # 4 / 13
