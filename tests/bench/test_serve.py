"""bench serve: what is made of the times at which an answer arrived."""

import pytest

from bench.serve import Heard, summary


def test_times_are_of_what_was_heard():
    heard = Heard(10.0, [10.5, 10.75, 11.0, 12.0], [1, 10, 10, 5])
    assert heard.first == 0.5 and heard.token_seconds == 1.5 / 25
    assert heard.gaps(0, 99) == [0.25, 0.25, 1.0]
    assert heard.gaps(10.8, 10.9) == [0.25] and heard.gaps(12.0, 13.0) == []


def test_ratios_are_of_the_same_round():
    rounds = [
        {"loop": a, "one": 2 * a, "one_whole": 2 * a, "together": a / 2, "gap": a,
         "worst_gap": 3 * a, "first_alone": [0.01] * 20, "first_among": [0.1] * 19 + [0.5]}
        for a in (1e-3, 4e-3, 2e-3)
    ]
    found = summary(rounds)
    assert found["one_of_loop"]["median"] == 0.5 and found["together_of_one"]["median"] == 4
    assert found["worst_gap_of_median"]["high"] == 3
    assert found["worst_gap_ms"] == pytest.approx(12)
    assert found["loop_per_second"] == pytest.approx(500)
    assert found["first_among_ms"]["median"] == pytest.approx(100)
    assert 100 <= found["first_among_ms"]["p95"] <= 500
