"""Numbers that states give to persons, where a check digit tells them from any other number.

    Brazil     CPF, 123.456.789-09        Poland      PESEL, 11 digits
    Spain      DNI and NIE: with letters, not found here
    Turkey     TC, 11 digits              France      NIR, 1 80 01 75 123 456 and its key
    USA        SSN as 123-45-6789: no check digit, but its cuts are its own

Read next: decontaminate.py.
"""

from __future__ import annotations

import re

SSN = re.compile(r"(?!000|666|9\d\d)\d{3}-(?!00)\d\d-(?!0000)\d{4}")
CPF = re.compile(r"\d{3}\.\d{3}\.\d{3}-\d\d")
NIR = re.compile(r"[12] ?\d\d ?(?:0[1-9]|1[0-2]) ?\d[\dAB] ?\d{3} ?\d{3} ?\d\d")


def national(whole: str, digits: str) -> bool:
    """Whether a number, as written and as its digits, is one of a person."""
    return bool(
        SSN.fullmatch(whole)
        or (CPF.fullmatch(whole) and _cpf(digits))
        or (whole.isdigit() and len(digits) == 11 and (_pesel(digits) or _turkish(digits)))
        or (len(digits) == 15 and NIR.fullmatch(whole) and _nir(digits))
    )


def _weighted(digits: str, weights: tuple[int, ...]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def _cpf(digits: str) -> bool:
    first = _weighted(digits, tuple(range(10, 1, -1))) * 10 % 11 % 10
    second = _weighted(digits, tuple(range(11, 1, -1))) * 10 % 11 % 10
    return digits[9:] == f"{first}{second}" and len(set(digits)) > 1


def _pesel(digits: str) -> bool:
    month, day = int(digits[2:4]) % 20, int(digits[4:6])
    check = -_weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10
    return 1 <= month <= 12 and 1 <= day <= 31 and check == int(digits[10])


def _turkish(digits: str) -> bool:
    values = [int(digit) for digit in digits]
    tenth = (7 * sum(values[0:9:2]) - sum(values[1:8:2])) % 10
    return values[0] != 0 and values[9] == tenth and values[10] == sum(values[:10]) % 10


def _nir(digits: str) -> bool:
    return 97 - int(digits[:13]) % 97 == int(digits[13:])
