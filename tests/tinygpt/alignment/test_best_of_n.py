"""Best of n: its KL, its means against drawing, the tilted policy, and fits of known curves."""

import numpy as np
import pytest

from tinygpt.alignment.bandit import Bandit, by_policy_gradient
from tinygpt.alignment.best_of_n import Point, best_of_n, fitted, kl_of_best, lost, tilted
from tinygpt.alignment.policy import PolicyConfig

RNG = np.random.default_rng(0)


def test_the_best_of_one_is_the_policy():
    proxy, gold = RNG.normal(size=(2, 100))
    assert best_of_n(proxy, gold, 1) == pytest.approx((0.0, proxy.mean(), gold.mean()))


def test_means_are_those_of_drawing():
    proxy = RNG.normal(size=500)
    gold = proxy + RNG.normal(size=500)
    drawn = RNG.integers(0, 500, (20_000, 8))
    kept = drawn[np.arange(len(drawn)), proxy[drawn].argmax(axis=1)]
    found = best_of_n(proxy, gold, 8)
    assert found.proxy == pytest.approx(proxy[kept].mean(), abs=0.02)
    assert found.gold == pytest.approx(gold[kept].mean(), abs=0.04)
    share = np.bincount(kept, minlength=500) / len(kept)
    some = share[share > 0]
    assert (some * np.log(some * 500)).sum() == pytest.approx(kl_of_best(8), abs=0.02)


def test_the_tilted_policy_is_where_training_goes():
    proxy, gold = RNG.normal(size=(2, 8))
    bandit = Bandit(np.full((1, 8), -np.log(8)), proxy[None], 0.5)
    logits = by_policy_gradient(bandit, PolicyConfig("rloo"))[0]
    pi = np.exp(logits - np.logaddexp.reduce(logits))
    found = tilted(proxy, gold, 0.5)
    assert found.gold == pytest.approx(pi @ gold, abs=1e-3)
    assert found.kl == pytest.approx((pi * np.log(pi * 8)).sum(), abs=0.01)


@pytest.mark.parametrize("by_training", [False, True])
def test_a_curve_of_the_law_is_fitted(by_training):
    kl = np.linspace(0.1, 9, 30)
    d = np.sqrt(kl)
    gold = 3 + d * (2 - 0.4 * (np.log(d) if by_training else d))
    points = [Point(k, 0.0, g) for k, g in zip(kl, gold, strict=True)]
    assert fitted(points, 3, by_training) == pytest.approx((2, 0.4, 0), abs=1e-9)


def test_what_is_lost_is_a_share_of_the_gain():
    points = [Point(1, 0, 2.0), Point(2, 0, 5.0), Point(3, 0, 4.0)]
    assert lost(points, 1.0) == (2, 0.25)
    assert lost(points[:2], 1.0) == (2, 0.0)
