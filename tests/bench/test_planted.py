"""What several trainings on a planted text amount to."""

import math

import pytest

from bench.planted import together


def training(facts, association):
    return {"suites": {
        "facts": [["right, by byte", facts, 0.7, 1.0], ["by chance", 0.25, 0.0, 0.5]],
        "association": [["probability", association, association - 0.01, association + 0.01]],
    }}


def test_the_interval_is_over_trainings_and_each_stands_beside_it():
    found = together([training(1.0, one) for one in (0.513, 0.511, 0.473)])
    (name, value, low, high, *each), = found["association"]
    assert each == [0.513, 0.511, 0.473] and value == pytest.approx(0.499)
    assert low == pytest.approx(0.443, abs=1e-3) and high == pytest.approx(0.555, abs=1e-3)


def test_all_right_each_time_is_no_proof_and_chance_has_no_interval():
    facts, chance = together([training(1.0, one) for one in (0.5, 0.6, 0.7)])["facts"]
    assert facts[1] == facts[3] == 1.0 and 0.4 < facts[2] < 0.5
    assert chance[1] == 0.25 and math.isnan(chance[2])
