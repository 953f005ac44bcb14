"""Every algorithm finds the answer that is known, exactly and from samples; controls do not."""

import numpy as np
import pytest

from tinygpt.alignment.bandit import Bandit, by_pairs, by_policy_gradient, log_softmax
from tinygpt.alignment.ipo import ipo
from tinygpt.alignment.policy import PolicyConfig

ALGORITHMS = ("reinforce", "rloo", "ppo", "grpo", "dr_grpo", "dapo")
BANDIT = Bandit.draw(np.random.default_rng(0))


def drawn(seed=1):
    return np.random.default_rng(seed)


def test_the_reference_is_far_from_the_optimum():
    assert BANDIT.distance(BANDIT.reference) > 0.4
    assert BANDIT.distance(np.log(BANDIT.optimum())) == pytest.approx(0, abs=1e-12)


def test_dpo_finds_the_optimum():
    assert BANDIT.distance(by_pairs(BANDIT, BANDIT.choices())) <= 0.02
    assert BANDIT.distance(by_pairs(BANDIT, BANDIT.choices(drawn()))) <= 0.05


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_policy_gradient_finds_the_optimum(name):
    assert BANDIT.distance(by_policy_gradient(BANDIT, PolicyConfig(name))) <= 0.02
    sampled = by_policy_gradient(BANDIT, PolicyConfig(name, group=32), drawn())
    assert BANDIT.distance(sampled) <= 0.05


def test_in_the_loss_k2_is_right_and_k1_and_k3_are_not():
    found = {
        leash: BANDIT.distance(by_policy_gradient(BANDIT, PolicyConfig("dr_grpo", leash=leash)))
        for leash in ("k1", "k2", "k3")
    }
    assert found["k2"] <= 0.02 and found["k1"] > 0.3 and 0.1 < found["k3"] < 0.25


@pytest.mark.parametrize("tau", [0.1, 0.5])
def test_ipo_stops_at_its_margin(tau):
    prompts = np.arange(64)
    best, worst = BANDIT.rewards.argmax(axis=1), BANDIT.rewards.argmin(axis=1)
    sure = np.zeros((64, 8, 8))
    sure[prompts, best, worst] = 1
    gain = log_softmax(by_pairs(BANDIT, sure, lambda p: ipo(p, tau))) - BANDIT.reference
    margin = gain[prompts, best] - gain[prompts, worst]
    np.testing.assert_allclose(margin, 1 / (2 * tau), rtol=0.02)


@pytest.mark.parametrize("control", ["inverted", "constant"])
def test_a_control_does_not_find_it(control):
    rewards = {"inverted": -BANDIT.rewards, "constant": np.ones_like(BANDIT.rewards)}[control]
    found = by_policy_gradient(BANDIT._replace(rewards=rewards), PolicyConfig("rloo"))
    assert BANDIT.distance(found) > 0.4
    if control == "constant":  # Adam makes steps of rounding errors, too
        moved = np.abs(np.exp(found) - np.exp(BANDIT.reference)).sum(axis=1).mean() / 2
        assert moved < 0.01
