"""Each loss against its formula in float64, and each gradient against differences."""

import math

import numpy as np
import pytest

from minigrad import Tensor
from minigrad.gradcheck import check_grads
from tinygpt.alignment.dpo import dpo
from tinygpt.alignment.grpo import centred, standardised, token_weights
from tinygpt.alignment.ipo import ipo
from tinygpt.alignment.kl import k1, k2, k3
from tinygpt.alignment.kto import expectation, kto
from tinygpt.alignment.orpo import orpo
from tinygpt.alignment.pairs import PairScores
from tinygpt.alignment.policy import PolicyConfig, judged, policy_loss
from tinygpt.alignment.ppo import clipped, gae, value_loss, whitened
from tinygpt.alignment.reinforce import above_usual, reinforce, usual_reward
from tinygpt.alignment.rloo import leave_one_out
from tinygpt.alignment.scores import sums
from tinygpt.alignment.simpo import simpo
from tinygpt.config import ConfigError

RNG = np.random.default_rng(0)
B = 7
CHOSEN, REJECTED, CHOSEN_REFERENCE, REJECTED_REFERENCE = -5 * RNG.random((4, B)) - 0.1
LENGTHS = RNG.integers(1, 9, (2, B)).astype(float)


def pairs(chosen, rejected):
    return PairScores(chosen, rejected, CHOSEN_REFERENCE, REJECTED_REFERENCE, *LENGTHS)


def sigma(x):
    return 1 / (1 + np.exp(-x))


def margin():
    return (CHOSEN - CHOSEN_REFERENCE) - (REJECTED - REJECTED_REFERENCE)


def odds(x):
    return np.exp(x) / (1 - np.exp(x))


LOSSES = {
    "dpo": (lambda p: dpo(p, 0.3), lambda: -np.log(sigma(0.3 * margin()))),
    "dpo, smoothed": (
        lambda p: dpo(p, 0.3, 0.1),
        lambda: -0.9 * np.log(sigma(0.3 * margin())) - 0.1 * np.log(sigma(-0.3 * margin())),
    ),
    "ipo": (
        lambda p: ipo(p, 0.4),
        lambda: ((CHOSEN - CHOSEN_REFERENCE) / LENGTHS[0]
                 - (REJECTED - REJECTED_REFERENCE) / LENGTHS[1] - 1.25) ** 2,
    ),
    "simpo": (
        lambda p: simpo(p, 2.0, 0.5),
        lambda: -np.log(sigma(2.0 * (CHOSEN / LENGTHS[0] - REJECTED / LENGTHS[1] - 0.5))),
    ),
    "orpo": (
        lambda p: orpo(p, 0.7),
        lambda: -CHOSEN / LENGTHS[0] - 0.7 * np.log(sigma(np.log(
            odds(CHOSEN / LENGTHS[0]) / odds(REJECTED / LENGTHS[1])))),
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_preference_loss_is_its_formula(name):
    loss, formula = LOSSES[name]
    found = loss(pairs(Tensor(CHOSEN), Tensor(REJECTED))).data
    np.testing.assert_allclose(found, formula(), rtol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_a_preference_loss_has_its_gradient(name):
    check_grads(lambda c, r: LOSSES[name][0](pairs(c, r)), [CHOSEN, REJECTED], seed=0)


def test_dpo_of_the_reference_itself_is_ln_2():
    same = PairScores(Tensor(CHOSEN), Tensor(REJECTED), CHOSEN, REJECTED, *LENGTHS)
    np.testing.assert_allclose(dpo(same, 0.1).data, math.log(2), atol=1e-15)


def test_kto_is_its_formula_and_has_its_gradient():
    liked, gains = np.arange(B) % 2 == 0, 3 * RNG.normal(size=B)
    z = expectation(np.array([0.4, 0.8]))
    assert z == pytest.approx(0.6) and expectation(np.array([-1.0, 0.4])) == 0.0
    wanted = np.where(liked, 2 * (1 - sigma(0.5 * (gains - z))), 1 - sigma(0.5 * (z - gains)))
    np.testing.assert_allclose(kto(Tensor(gains), liked, z, 0.5, 2.0).data, wanted, rtol=1e-12)
    check_grads(lambda g: kto(g, liked, z, 0.5, 2.0), [gains], seed=0)


def test_sums_are_of_each_answer():
    x, counts = RNG.normal(size=9), np.array([2, 1, 6])
    np.testing.assert_allclose(sums(Tensor(x), counts).data, [x[:2].sum(), x[2], x[3:].sum()])
    check_grads(lambda x: sums(x, counts), [x], seed=0)


# Policy gradients.

def test_the_clip_stops_a_step_only_in_the_way_that_it_goes():
    """dloss/dlog pi = -rho A inside, 0 beyond the clip where that is the better side."""
    rho = np.array([0.5, 0.9, 1.1, 1.5, 0.5, 1.5])
    a = np.array([1.0, 1.0, 1.0, 1.0, -1.0, -1.0])
    log_pi = Tensor(np.log(rho), requires_grad=True)
    loss = clipped(log_pi, np.zeros(6), a, 0.2, 0.28)
    np.testing.assert_allclose(loss.data, [-0.5, -0.9, -1.1, -1.28, 0.8, 1.5])
    loss.sum().backward()
    np.testing.assert_allclose(log_pi.grad, [-0.5, -0.9, -1.1, 0, 0, 1.5], atol=1e-12)
    check_grads(lambda x: clipped(x, np.zeros(6), a, 0.2, 0.28), [np.log(rho)], seed=0)


def test_reinforce_is_its_formula_and_forgets_slowly():
    log_pi, a = Tensor(np.array([-1.0, -2.0])), np.array([0.5, -1.0])
    np.testing.assert_allclose(reinforce(log_pi, a).data, [0.5, -2.0])
    check_grads(lambda x: reinforce(x, a), [log_pi.data], seed=0)
    rewards = np.array([[1.0, 0.0]])
    assert above_usual(rewards, 0.25).tolist() == [[0.75, -0.25]]
    assert usual_reward(rewards, None) == 0.5
    assert usual_reward(rewards, 0.0) == pytest.approx(0.05)


def test_leave_one_out_takes_off_the_mean_of_the_others():
    rewards = RNG.normal(size=(3, 4))
    wanted = [[r - np.delete(row, i).mean() for i, r in enumerate(row)] for row in rewards]
    np.testing.assert_allclose(leave_one_out(rewards), wanted)


def test_gae_is_its_sum():
    """A_t = sum over k of (gamma lam)^k delta_(t+k), answer by answer."""
    counts, (rewards, values) = np.array([3, 1, 5]), RNG.normal(size=(2, 9))
    found, wanted = gae(rewards, values, counts, 0.9, 0.8), []
    for start, count in zip((0, 3, 4), counts, strict=True):
        v = np.append(values[start : start + count], 0.0)
        delta = rewards[start : start + count] + 0.9 * v[1:] - v[:-1]
        wanted += [sum(0.72**k * d for k, d in enumerate(delta[t:])) for t in range(count)]
    np.testing.assert_allclose(found, wanted)
    whole = gae(rewards, np.zeros(9), counts, 1.0, 1.0)
    np.testing.assert_allclose(whole[[0, 3, 4]], np.add.reduceat(rewards, [0, 3, 4]))
    white = whitened(found)
    assert white.mean() == pytest.approx(0) and white.std() == pytest.approx(1)


def test_the_critic_is_held_near_what_it_said():
    old, returns = np.zeros(3), np.array([1.0, 1.0, -1.0])
    values = np.array([0.1, 0.9, 0.9])
    wanted = [0.5 * 0.9**2, 0.5 * 0.8**2, 0.5 * 1.9**2]  # the second is beyond 0.2
    np.testing.assert_allclose(value_loss(Tensor(values), old, returns, 0.2).data, wanted)
    check_grads(lambda v: value_loss(v, old, returns, 0.2), [values], seed=0)


def test_groups_are_compared_with_themselves():
    rewards = np.array([[0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    found = standardised(rewards)
    assert found[0] == pytest.approx(np.array([-0.5, 0.5, 0.5, -0.5]) / (1 / 3**0.5 + 1e-4))
    assert not found[1].any()
    assert centred(rewards)[0].tolist() == [-0.5, 0.5, 0.5, -0.5]


def test_three_means_over_tokens():
    counts, x = np.array([1, 3]), np.array([8.0, 1.0, 2.0, 3.0])
    assert (token_weights(counts, "grpo", 4) * x).sum() == pytest.approx((8 + 2) / 2)
    assert (token_weights(counts, "dr_grpo", 4) * x).sum() == pytest.approx((8 / 4 + 6 / 4) / 2)
    assert (token_weights(counts, "dapo", 4) * x).sum() == pytest.approx(14 / 4)


@pytest.mark.parametrize("leash", ["reward", "k2", "k3"])
@pytest.mark.parametrize("name", ["reinforce", "rloo", "ppo", "grpo", "dr_grpo", "dapo"])
def test_a_policy_loss_has_its_gradient(name, leash):
    policy = PolicyConfig(name, beta=0.1, leash=leash)
    counts, rewards = np.array([2, 3, 1, 4]), RNG.normal(size=(2, 2))
    old, reference, values, now = -RNG.random((4, 10)) - 0.1
    experience, _ = judged(policy, rewards, counts, old, reference, values)
    check_grads(lambda x: policy_loss(policy, x, experience, 4), [now], seed=0)


@pytest.mark.parametrize("name", ["reinforce", "rloo", "grpo", "dr_grpo", "dapo"])
def test_the_first_gradient_is_that_of_reinforce(name):
    """While pi wrote the answers itself no clip acts: sum of weight, advantage and -grad log pi."""
    policy = PolicyConfig(name, beta=0.1)
    counts, rewards = np.array([2, 3, 1, 4]), RNG.normal(size=(2, 2))
    old, reference = -RNG.random((2, 10))
    experience, _ = judged(policy, rewards, counts, old, reference)
    log_pi = Tensor(old, requires_grad=True)
    policy_loss(policy, log_pi, experience, 4).backward()
    away = np.add.reduceat(old - reference, [0, 2, 5, 6]).reshape(2, 2)
    total = rewards - 0.1 * away
    if name == "reinforce":
        a, weight = total - total.mean(), np.full(4, 1 / 4)
    elif name == "rloo":
        a, weight = total - total[:, ::-1], np.full(4, 1 / 4)
    else:
        a = total - total.mean(axis=1, keepdims=True)
        if name != "dr_grpo":
            a = a / (total.std(axis=1, ddof=1, keepdims=True) + 1e-4)
        weight = {"grpo": 1 / (4 * counts), "dr_grpo": np.full(4, 1 / 16),
                  "dapo": np.full(4, 1 / 10)}[name]
    np.testing.assert_allclose(log_pi.grad, np.repeat(-a.reshape(-1) * weight, counts), rtol=1e-9)


def test_a_group_of_one_is_refused():
    with pytest.raises(ConfigError, match="compares the answers to one prompt"):
        PolicyConfig("grpo", group=1)
    PolicyConfig("ppo", group=1)


# KL, on four answers and with exact expectations.

LOGITS, REFERENCE = RNG.normal(size=(2, 4))


def log_softmax(x):
    return x - np.log(np.exp(x).sum())


def expected_gradient(estimator):
    """Of the mean loss of samples of pi, which the gradient takes for given: by each logit."""
    logits = Tensor(LOGITS, requires_grad=True)
    from minigrad import ops

    log_pi = ops.log_softmax(logits)
    x = log_pi - Tensor(log_softmax(REFERENCE))
    (estimator(x) * Tensor(np.exp(log_pi.data))).sum().backward()
    return logits.grad


def divergence_gradient(forward):
    """Of KL(pi || ref), or of KL(ref || pi), by differences."""
    def kl(z):
        a, b = log_softmax(z), log_softmax(REFERENCE)
        return (np.exp(a) * (a - b)).sum() if forward else (np.exp(b) * (b - a)).sum()

    steps = 1e-6 * np.eye(4)
    return np.array([(kl(LOGITS + s) - kl(LOGITS - s)) / 2e-6 for s in steps])


def test_as_values_k1_and_k3_are_unbiased():
    pi, x = np.exp(log_softmax(LOGITS)), log_softmax(LOGITS) - log_softmax(REFERENCE)
    kl = (pi * x).sum()
    assert (pi * k1(Tensor(x)).data).sum() == pytest.approx(kl)
    assert (pi * k3(Tensor(x)).data).sum() == pytest.approx(kl)
    assert (k3(Tensor(x)).data >= 0).all()
    assert abs((pi * k2(Tensor(x)).data).sum() - kl) > 0.01


def test_as_losses_k1_does_nothing_and_k2_is_right():
    np.testing.assert_allclose(expected_gradient(k1), 0, atol=1e-12)
    np.testing.assert_allclose(expected_gradient(k2), divergence_gradient(True), rtol=1e-6)


def test_as_a_loss_k3_is_the_other_divergence():
    wanted = divergence_gradient(False)
    np.testing.assert_allclose(expected_gradient(k3), wanted, rtol=1e-6)
    np.testing.assert_allclose(  # E_ref[-s] = pi - ref, by each logit
        wanted, np.exp(log_softmax(LOGITS)) - np.exp(log_softmax(REFERENCE)), rtol=1e-6
    )
    assert np.abs(wanted - divergence_gradient(True)).max() > 0.01
