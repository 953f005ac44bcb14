"""Agreement by hand: textbook numbers, chance, bias and drift."""

import numpy as np
import pytest

from tinygpt.evaluation.agreement import kappa
from tinygpt.feedback.agreement import drift, krippendorff, marks_of, report, with_interval
from tinygpt.feedback.store import Verdict


def verdict(rater, item, preferred, left="a"):
    return Verdict(rater, item, left, preferred, (), "", 1.0, 0.0)


def test_cohens_kappa_by_hand():
    """20 both a, 15 both b, 5 and 10 apart: p_o = 0.7, p_e = 0.5 (Cohen's own kind of table)."""
    pairs = [("a", "a")] * 20 + [("a", "b")] * 5 + [("b", "a")] * 10 + [("b", "b")] * 15
    assert kappa(pairs) == pytest.approx(0.4)
    assert kappa([("a", "a"), ("b", "b")]) == 1
    assert np.isnan(kappa([("a", "a")] * 3))  # nothing but one answer: chance explains it


def test_krippendorffs_alpha_by_hand():
    """Twelve items of two observers, categories a to e; in coincidences: o_c = 18 of n = 24."""
    first = "aabbddccceda"
    second = "babbddcccedd"
    items = [list(both) for both in zip(first, second, strict=True)]
    n, disagreed = 24, 2 * sum(a != b for a, b in items)
    counts = {c: (first + second).count(c) for c in "abcde"}
    wanted = 1 - (n - 1) * disagreed / (n * n - sum(k * k for k in counts.values()))
    assert krippendorff(items) == pytest.approx(wanted)
    assert krippendorff([*items, ["a"]]) == krippendorff(items)  # one mark has no pair
    assert krippendorff([["a", "a"], ["b", "b", "b"]]) == 1


def test_coins_agree_by_chance_alone():
    rng = np.random.default_rng(0)
    items = rng.choice(["a", "b"], (2000, 3)).tolist()
    assert abs(krippendorff(items)) < 0.05
    measured = with_interval(krippendorff, items[:200])
    assert measured.low < 0 < measured.high and measured.items == 200
    assert with_interval(krippendorff, []) is None


def test_a_report_names_nobody_and_sees_bias_and_drift():
    verdicts = [verdict("mia", i, "a", "a") for i in range(8)]
    verdicts += [verdict("tom", i, "a" if i < 4 else "b", "a") for i in range(8)]
    verdicts += [verdict("zoe", i, "a", "a") for i in range(8)]
    assert drift("tom", verdicts, marks_of(verdicts)) == (1.0, 0.0)
    lines = report(verdicts)
    assert lines[0] == "24 verdicts of 3 raters on 8 items"
    assert not any(name in "\n".join(lines) for name in ("mia", "tom", "zoe"))
    assert any("left answer was preferred in a share of 0.83" in line for line in lines)
    assert "rater 2 agrees with the others in 100% of the first half of their verdicts, in 0% of " \
        "the second" in lines
    assert report([]) == ["0 verdicts of 0 raters on 0 items"]
