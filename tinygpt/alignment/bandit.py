"""Where the answer is known: prompts with eight answers each, and what every algorithm must find.

A policy over K answers to P prompts is a table of logits (P, K), and what is best is known:

    pi*(y | x) = pi_ref(y | x) exp(r(x, y) / beta) / Z(x)

It is the optimum of DPO on choices by Bradley-Terry (dpo.py) and of every policy gradient with a
leash of beta, so all of them can be held to it: with exact gradients, where every answer counts by
its probability, and from samples. The losses are those that train language models, not copies.

    bandit = Bandit.draw(np.random.default_rng(0))
    logits = by_policy_gradient(bandit, PolicyConfig("rloo", beta=bandit.beta))
    bandit.distance(logits)                           # 0.00...

Read next: scores.py for answers of more than one token.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minigrad import Tensor, ops, optim
from minigrad.nn import Parameter
from tinygpt.alignment.dpo import dpo
from tinygpt.alignment.kl import ESTIMATORS
from tinygpt.alignment.pairs import PairScores
from tinygpt.alignment.policy import PolicyConfig, judged, policy_loss
from tinygpt.alignment.ppo import clipped
from tinygpt.alignment.reinforce import reinforce

PairLoss = Callable[[PairScores], Tensor]


class Bandit(NamedTuple):
    """reference: (P, K) log-probabilities.  rewards: (P, K).  beta: of the leash."""

    reference: np.ndarray
    rewards: np.ndarray
    beta: float

    @classmethod
    def draw(
        cls, rng: np.random.Generator, prompts: int = 64, answers: int = 8, beta: float = 0.5
    ) -> Bandit:
        """A reference and rewards from N(0, 1)."""
        logits, rewards = rng.normal(size=(2, prompts, answers))
        return cls(log_softmax(logits), rewards, beta)

    def optimum(self) -> np.ndarray:
        """(P, K) probabilities: pi_ref exp(r / beta) / Z."""
        return np.exp(log_softmax(self.reference + self.rewards / self.beta))

    def distance(self, logits: np.ndarray) -> float:
        """Total variation from the optimum, 0 to 1, the mean over prompts."""
        pi = np.exp(log_softmax(logits))
        return float(np.abs(pi - self.optimum()).sum(axis=1).mean() / 2)

    def choices(self, rng: np.random.Generator | None = None, each: int = 1000) -> np.ndarray:
        """(P, K, K) how often the first answer is chosen over the second, by Bradley-Terry.

        rng: draws `each` choices of every pair; None: the probabilities themselves.
        """
        certain = 1 / (1 + np.exp(self.rewards[:, None, :] - self.rewards[:, :, None]))
        if rng is None:
            return certain
        first = np.triu(rng.binomial(each, certain) / each, 1)
        return first + np.swapaxes(np.triu(1 - first, 1), 1, 2)


def log_softmax(x: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def descend(
    start: np.ndarray, loss: Callable[[Tensor], Tensor], steps: int, lr: float
) -> np.ndarray:
    """Logits (P, K) after so many steps of Adam, its rate falling to nothing."""
    logits = Parameter(start.copy())
    optimizer = optim.AdamW([logits], lr=lr, weight_decay=0.0)
    for step in range(steps):
        optimizer.zero_grad()
        loss(ops.log_softmax(logits)).backward()
        optimizer.step(lr=lr * 0.5 * (1 + np.cos(np.pi * step / steps)))
    return logits.data


def by_pairs(
    bandit: Bandit, chosen: np.ndarray, loss: PairLoss | None = None, steps: int = 300,
    lr: float = 0.1,
) -> np.ndarray:
    """Logits (P, K) learned from pairs.

    chosen: (P, K, K) how often the first is chosen over the second; 0 both ways: never asked.
    loss: None for dpo with the bandit's beta.
    """
    loss = loss or (lambda pairs: dpo(pairs, bandit.beta))
    prompt, first, second = np.nonzero(chosen * ~np.eye(chosen.shape[1], dtype=bool))
    weight, ones = chosen[prompt, first, second], np.ones(len(prompt))
    reference = bandit.reference

    def mean(log_pi: Tensor) -> Tensor:
        pairs = PairScores(
            log_pi[prompt, first], log_pi[prompt, second], reference[prompt, first],
            reference[prompt, second], ones, ones,
        )
        return (loss(pairs) * Tensor(weight)).sum() / len(chosen)

    return descend(reference, mean, steps, lr)


def by_policy_gradient(
    bandit: Bandit, policy: PolicyConfig, rng: np.random.Generator | None = None,
    steps: int = 400, lr: float = 0.1,
) -> np.ndarray:
    """Logits (P, K) learned from rewards.

    policy: its beta is the bandit's, whatever it says.
    rng: draws policy.group answers to each prompt at each step; None: exact expectations.
    """
    policy = dataclasses.replace(policy, beta=bandit.beta)
    if rng is None:
        return descend(bandit.reference, lambda x: _exact(bandit, policy, x), steps, lr)
    usual: list[float | None] = [None]

    def sampled(log_pi: Tensor) -> Tensor:
        P, K = log_pi.shape
        numbers = rng.random((P, policy.group, 1))
        edges = np.cumsum(np.exp(log_pi.data), axis=1)[:, None, :-1]
        drawn = (numbers > edges).sum(axis=-1)  # (P, G)
        prompt = np.repeat(np.arange(P), policy.group)
        answer = drawn.reshape(-1)
        written = log_pi[prompt, answer]
        rewards = bandit.rewards[prompt, answer].reshape(P, policy.group)
        values = (np.exp(log_pi.data) * bandit.rewards).sum(axis=1)[prompt]  # a perfect critic
        experience, usual[0] = judged(
            policy, rewards, np.ones(len(answer), np.int64), written.data,
            bandit.reference[prompt, answer], values, usual[0],
        )
        return policy_loss(policy, written, experience, longest=1)

    return descend(bandit.reference, sampled, steps, lr)


def _exact(bandit: Bandit, policy: PolicyConfig, log_pi: Tensor) -> Tensor:
    """The expected loss: every answer, by its probability, as if a group had all of them."""
    pi = np.exp(log_pi.data)
    x = log_pi - Tensor(bandit.reference)
    inside = bandit.beta if policy.leash == "reward" else 0.0
    total = bandit.rewards - inside * x.data
    advantages = total - (pi * total).sum(axis=1, keepdims=True)
    if policy.algorithm in ("grpo", "dapo"):
        std = np.sqrt((pi * advantages**2).sum(axis=1, keepdims=True))
        advantages = advantages / (std + 1e-4)
    if policy.algorithm == "reinforce":
        losses = reinforce(log_pi, advantages)
    else:
        losses = clipped(log_pi, log_pi.data, advantages, *policy.clip)
    if policy.leash != "reward":
        losses = losses + ESTIMATORS[policy.leash](x) * bandit.beta
    return (losses * Tensor(pi)).sum() / len(pi)
