"""From the rewards of a policy's answers to a loss: in what the policy gradients differ.

    answers, rewards -> advantages (`judged`) -> loss (`policy_loss`)

    reinforce   r - what is usual              -A log pi         of whole answers
    rloo        r - mean of the others'        clipped           of whole answers
    ppo         a critic's, token by token     clipped           of tokens, each alike
    grpo        (r - mean) / std of a group    clipped           of tokens, each answer alike
    dr_grpo     r - mean of a group            clipped           of tokens, by the longest answer
    dapo        as grpo                        clipped, wider    of tokens, each alike
    expert      1 for the best of a group      -A log pi         of tokens, each alike

The leash stands in the reward or in the loss (kl.py says by which estimate).

Read first: kl.py, reinforce.py, rloo.py, ppo.py, grpo.py, expert.py. Read next: bandit.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from minigrad import Tensor
from tinygpt.alignment.expert import kept
from tinygpt.alignment.grpo import centred, standardised, token_weights
from tinygpt.alignment.kl import ESTIMATORS
from tinygpt.alignment.ppo import clipped, gae, whitened
from tinygpt.alignment.reinforce import above_usual, reinforce, usual_reward
from tinygpt.alignment.rloo import leave_one_out
from tinygpt.alignment.scores import constant, sums
from tinygpt.config import ConfigError, require

WHOLE = ("reinforce", "rloo")  # an answer is one action
IN_GROUPS = ("rloo", "grpo", "dr_grpo", "dapo", "expert")
Algorithm = Literal["reinforce", "rloo", "ppo", "grpo", "dr_grpo", "dapo", "expert"]


@dataclass(frozen=True)
class PolicyConfig:
    """How a policy learns from rewards.

    prompts, group: of one rollout, and answers to each prompt.  epochs: how often its answers are
        learned from.
    draws: how often as many prompts are drawn, at most, until so many are found whose answers
        differ in reward: of several draws these alone are learned from (grpo.py).
    temperature: by which the policy writes; its log-probabilities are of the same.
    beta: of the leash.  leash: where it is; "reward", or as a loss by an estimator.
    low, high: of the clip; high None: 0.28 of dapo, low of others.
    rewards: what answers are worth, in sum (rewards.py).  seconds: that a program may take for
        them all.
    most: tokens of an answer; None: what the data needs.
    gamma, lam: of ppo's advantages.  critic: weight of its loss.  critic_clip: how far it may go.
    """

    algorithm: Algorithm = "grpo"
    prompts: int = 16
    group: int = 8
    draws: int = 1
    epochs: int = 1
    temperature: float = 1.0
    rewards: tuple[str, ...] = ("exact",)
    seconds: float = 10.0
    most: int | None = None
    beta: float = 0.01
    leash: Literal["reward", "k1", "k2", "k3"] = "reward"
    low: float = 0.2
    high: float | None = None
    gamma: float = 1.0
    lam: float = 0.95
    critic: float = 0.1
    critic_clip: float = 0.2

    def __post_init__(self) -> None:
        for name in ("prompts", "group", "draws", "epochs"):
            require(getattr(self, name) >= 1, f"policy.{name}", getattr(self, name), "at least 1")
        for name in ("temperature", "seconds", "critic_clip"):
            require(getattr(self, name) > 0, f"policy.{name}", getattr(self, name), "above 0")
        some = self.most is None or self.most >= 1
        require(some, "policy.most", self.most, "at least 1, or none")
        for name in ("beta", "critic"):
            require(getattr(self, name) >= 0, f"policy.{name}", getattr(self, name), "0 or more")
        require(0 < self.low < 1, "policy.low", self.low, "between 0 and 1")
        require(self.high is None or self.high > 0, "policy.high", self.high, "above 0, or none")
        for name in ("gamma", "lam"):
            require(0 <= getattr(self, name) <= 1, f"policy.{name}", getattr(self, name), "0 to 1")
        if self.algorithm in IN_GROUPS and self.group < 2:
            raise ConfigError(
                f"policy.group = {self.group}: {self.algorithm} compares the answers to one "
                "prompt. Set at least 2, or choose reinforce or ppo."
            )

    @property
    def clip(self) -> tuple[float, float]:
        """(low, high)."""
        if self.high is not None:
            return self.low, self.high
        return self.low, 0.28 if self.algorithm == "dapo" else self.low


class Experience(NamedTuple):
    """What S answers of R tokens have taught, one answer's tokens after the other's.

    counts: (S,) tokens of each.  log_old, log_reference: (R,) of the policy that wrote them, and of
    the reference.  advantages: (R,), of an algorithm of WHOLE answers (S,).
    values, returns: (R,) what the critic said, and what it should have; zeros without one.
    """

    counts: np.ndarray
    log_old: np.ndarray
    log_reference: np.ndarray
    advantages: np.ndarray
    values: np.ndarray
    returns: np.ndarray


def judged(
    policy: PolicyConfig, rewards: np.ndarray, counts: np.ndarray, log_old: np.ndarray,
    log_reference: np.ndarray, values: np.ndarray | None = None, usual: float | None = None,
) -> tuple[Experience, float]:
    """(advantages of a rollout's answers, the usual reward from now on).

    rewards: (P, G) float64, of G answers to each of P prompts, in the order of `counts`.
    values: (R,) the critic's, of ppo.  usual: of earlier rollouts, None for the first.
    """
    away = log_old.astype(np.float64) - log_reference  # (R,) k1 of each token
    inside = policy.beta if policy.leash == "reward" else 0.0
    starts = np.cumsum(counts) - counts
    zeros = np.zeros(len(log_old))
    if policy.algorithm == "ppo":
        assert values is not None
        given = -inside * away
        given[starts + counts - 1] += rewards.reshape(-1)
        found = gae(given, values.astype(np.float64), counts, policy.gamma, policy.lam)
        experience = Experience(
            counts, log_old, log_reference, whitened(found), values, found + values
        )
        return experience, usual_reward(rewards, usual)
    total = rewards - inside * np.add.reduceat(away, starts).reshape(rewards.shape)
    found = {
        "reinforce": lambda: above_usual(total, usual), "rloo": lambda: leave_one_out(total),
        "grpo": lambda: standardised(total), "dapo": lambda: standardised(total),
        "dr_grpo": lambda: centred(total), "expert": lambda: kept(rewards),
    }[policy.algorithm]().reshape(-1)
    if policy.algorithm not in WHOLE:
        found = np.repeat(found, counts)
    experience = Experience(counts, log_old, log_reference, found, zeros, zeros)
    return experience, usual_reward(total, usual)


def policy_loss(
    policy: PolicyConfig, log_pi: Tensor, experience: Experience, longest: int
) -> Tensor:
    """The mean loss () of answers, by the tokens' log-probabilities (R,) now.

    longest: tokens that an answer may have.
    """
    counts, old = experience.counts, experience.log_old
    if policy.algorithm in WHOLE:
        starts = np.cumsum(counts) - counts
        log_pi = sums(log_pi, counts)  # (R,) -> (S,)
        old, reference = (
            np.add.reduceat(x, starts) for x in (old, experience.log_reference)
        )
        weights = np.full(len(counts), 1 / len(counts))
    else:
        reference = experience.log_reference
        mean = {"grpo": "grpo", "dr_grpo": "dr_grpo"}.get(policy.algorithm, "dapo")
        weights = token_weights(counts, mean, longest)  # type: ignore[arg-type]
    if policy.algorithm == "expert":  # means over the kept alone
        weights = weights * (len(weights) / max(1.0, experience.advantages.sum()))
    if policy.algorithm in ("reinforce", "expert"):
        losses = reinforce(log_pi, experience.advantages)
    else:
        losses = clipped(log_pi, old, experience.advantages, *policy.clip)
    if policy.leash != "reward" and policy.beta:
        x = log_pi - constant(reference, log_pi)
        losses = losses + ESTIMATORS[policy.leash](x) * policy.beta
    return (losses * constant(weights, losses)).sum()
