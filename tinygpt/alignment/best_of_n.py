"""Best of n, and what becomes of a reward that is only a stand-in for what is wanted.

Write n answers, keep the one that scores best: nothing is trained, and it is hard to beat. The
answer that is kept comes from a distribution of its own, whose distance from the policy is known:

    the best of n is the i-th of N (by score) with probability (i/N)^n - ((i-1)/N)^n
    KL(best of n || policy) = log n - (n - 1) / n                  for a score without ties

What is maximised is the *proxy*: a reward model, a rule. What is wanted is *gold*. Near the policy
they agree, for there the proxy was learned; the further one goes the more the best proxy is the
largest *error* of the proxy, and gold falls while the proxy rises (Goodhart). Over d = sqrt(KL)
Gao et al. found

    R_bon(d) = d (a - b d)        R_RL(d) = d (a - b log d)

a is how fast it improves, b how soon that turns.

Where answers can be counted, no training is needed to see it: the best policy at a leash of beta is
pi exp(proxy / beta) / Z (bandit.py shows that training gets there), and so a sample of answers with
both scores gives both curves.

Source: Gao et al. 2022 (2210.10760); KL of best of n, Stiennon et al. 2020, appendix G.3.
Read next: ../../docs/cheating.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Point(NamedTuple):
    """kl: nats from the policy.  proxy, gold: mean rewards there."""

    kl: float
    proxy: float
    gold: float


class Fit(NamedTuple):
    """Of gold less its value at d = 0; residual: root of the mean square of what is left."""

    a: float
    b: float
    residual: float


def kl_of_best(n: float) -> float:
    """Nats between the best of n and the policy, of a score without ties."""
    return float(np.log(n) - (n - 1) / n)


def best_of_n(proxy: np.ndarray, gold: np.ndarray, n: int) -> Point:
    """The mean over all best of n of N answers of the policy, (N,) scores each; n far below N."""
    order = np.argsort(proxy, kind="stable")
    share = np.arange(len(proxy) + 1) / len(proxy)
    weight = np.diff(share**n)
    return Point(kl_of_best(n), float(weight @ proxy[order]), float(weight @ gold[order]))


def tilted(proxy: np.ndarray, gold: np.ndarray, beta: float) -> Point:
    """The best policy for the proxy at a leash of beta, over N answers of the policy."""
    x = proxy / beta
    weight = np.exp(x - x.max())
    weight /= weight.sum()
    some = weight[weight > 0]
    kl = float((some * np.log(some * len(proxy))).sum())
    return Point(kl, float(weight @ proxy), float(weight @ gold))


def fitted(points: Sequence[Point], start: float, by_training: bool) -> Fit:
    """a and b by least squares.

    points: above kl 0.  start: gold of the policy itself.  by_training: R_RL, else R_bon.
    """
    d = np.sqrt([point.kl for point in points])
    gain = np.array([point.gold for point in points]) - start
    bends = np.log(d) if by_training else d
    columns = np.stack([d, -d * bends], axis=1)
    (a, b), *_ = np.linalg.lstsq(columns, gain, rcond=None)
    residual = float(np.sqrt(np.mean((columns @ (a, b) - gain) ** 2)))
    return Fit(float(a), float(b), residual)


def lost(points: Sequence[Point], start: float) -> tuple[float, float]:
    """(kl at which gold is highest, the share of its gain that is lost at the last point)."""
    best = max(points, key=lambda point: point.gold)
    gain = best.gold - start
    return best.kl, (best.gold - points[-1].gold) / gain if gain > 0 else float("nan")
