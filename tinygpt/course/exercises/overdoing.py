"""Cheating: how far the best of n is, what it finds there, and what a leash leaves of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygpt.course.draw import Draw
from tinygpt.course.exercise import Exercise, Holds, Question, mistake

MODULE = "tinygpt.alignment.best_of_n"
CHAPTER = "cheating.md"

KL_OF_BEST = Exercise(
    name="best-kl", title="How far the best of n is", kind="write", target=f"{MODULE}:kl_of_best",
    chapter=CHAPTER, minutes=20, after=("credits",),
    about="The best of n is at quantile u of the policy's answers with density n u^(n - 1). KL is "
    "the mean of the density's logarithm, under that density.",
    hints=(
        "log(n u^(n-1)) = log n + (n - 1) log u: one mean is to be found, that of log u.",
        "The integral of n u^(n-1) log u from 0 to 1 is -1 / n.",
        "log n - (n - 1) / n. Look: for n = 1 it must be 0, as nothing is chosen.",
    ),
    call=lambda draw: (draw.choice((1.0, 2.0, 3.0, 8.0, 64.0, 1.5)),), inputs=12,
    holds=(Holds("the best of one is the policy", lambda f, n: abs(f(1.0)) < 1e-12),),
    mistakes=(
        mistake("it is log n", "That is an upper bound, reached by nobody.",
                "np.log(n) - (n - 1) / n", "np.log(n)"),
        mistake("it is in bits", "Nats: natural logarithms.",
                "np.log(n)", "np.log2(n)"),
        mistake("1 is taken off", "(n - 1) / n, which is nearly 1 for many.",
                "(n - 1) / n", "1"),
        mistake("what is to be taken off is added",
                "The mean of log u is below 0.",
                "np.log(n) - (n", "np.log(n) + (n"),
        mistake("1 / n is taken off", "1 - 1 / n is.",
                "(n - 1) / n", "1 / n"),
        mistake("n - 1 is not divided", "(n - 1) / n.",
                "(n - 1) / n", "(n - 1)"),
    ),
)


def _scores(draw: Draw) -> tuple[Any, ...]:
    """Proxies, all different; gold; n."""
    count = draw.integer(1, 6)
    order = np.random.default_rng(draw.integer(0, 99)).permutation(count)
    return order / 2.0, draw.array((count,)), draw.choice((2, 1, 3, 5))


BEST_MISTAKES = (
    mistake("gold is sorted by itself",
            "What the proxy likes best has the gold that it has: one order for both.",
            "gold[order]", "np.sort(gold)"),
    mistake("gold stays in its old order",
            "The weights belong to places by proxy.",
            "gold[order]", "gold"),
    mistake("the worst of n is kept", "The largest proxies weigh most.",
            "np.argsort(proxy,", "np.argsort(-proxy,"),
    mistake("it is always the best of all",
            "Of n that were drawn: which ones is chance.",
            "np.diff(share**n)", "(np.arange(len(proxy)) == len(proxy) - 1) * 1.0"),
    mistake("the weights do not sum to 1",
            "(i/N)^n is the probability that all n are among the first i; the i-th is the best "
            "with the difference.",
            "np.diff(share**n)", "share[1:] ** n"),
    mistake("n does not matter",
            "The more are drawn, the likelier that the best are among them.",
            "np.diff(share**n)", "np.diff(share)"),
    mistake("KL is log n", "log n - (n - 1) / n.",
            "kl_of_best(n)", "float(np.log(n))"),
    mistake("the proxy's mean is the policy's",
            "It is chosen by the proxy: that rises first of all.",
            "float(weight @ proxy[order])", "float(proxy.mean())"),
)

BEST_OF_N = Exercise(
    name="best-of-n", title="What the best of n are like", kind="write",
    target=f"{MODULE}:best_of_n", chapter=CHAPTER, minutes=30, after=("best-kl",),
    about="Nothing is drawn: of N answers in the order of their proxies the i-th is the best of n "
    "with probability (i/N)^n - ((i-1)/N)^n. Returns Point(kl, proxy, gold), the last two means "
    "over that distribution.",
    hints=(
        "Sort by proxy, the least first; np.argsort gives the order, and gold[order] goes along.",
        "share = np.arange(N + 1) / N; np.diff(share ** n) are the N probabilities.",
        "weight @ values is a mean over that distribution. kl_of_best(n) says how far it is.",
    ),
    call=_scores, inputs=120, mistakes=BEST_MISTAKES,
)

BEST_HUNT = Exercise(
    name="best-of-n-hunt", title="A test for the best of n", kind="hunt",
    target=f"{MODULE}:best_of_n", chapter=CHAPTER, minutes=20, after=("best-of-n",),
    hints=(
        "The best of one is the mean of all.",
        "Two answers, n = 2: the better one is kept in three of four cases.",
        "Gold that falls where the proxy rises, and in no order of its own.",
    ),
    begins="    p = best_of_n(np.array([0.0, 1.0]), np.array([0.0, 1.0]), 1)\n"
    "    assert p.proxy == 0.5\n",
    mistakes=BEST_MISTAKES,
    equals=(
        mistake("with np.linspace", "From 0 to 1.",
                "np.arange(len(proxy) + 1) / len(proxy)", "np.linspace(0, 1, len(proxy) + 1)"),
        mistake("with the differences written out", "Each less the one before.",
                "np.diff(share**n)", "share[1:] ** n - share[:-1] ** n"),
        mistake("with a sum of products", "The same mean.",
                "float(weight @ gold[order])", "float((weight * gold[order]).sum())"),
    ),
)


def _leash(draw: Draw) -> tuple[Any, ...]:
    count = draw.integer(1, 6)
    return draw.array((count,)), draw.array((count,)), draw.choice((1.0, 0.5, 2.0, 0.001))


TILTED = Exercise(
    name="tilted", title="The best policy on a leash", kind="write", target=f"{MODULE}:tilted",
    chapter=CHAPTER, minutes=25, after=("softmax", "best-of-n"),
    about="Over N answers that the policy wrote, each with weight 1 / N, the best policy at a "
    "leash of beta gives them weights in proportion to exp(proxy / beta). KL is the sum of "
    "weight log(weight N). Returns Point(kl, proxy, gold).",
    hints=(
        "It is a softmax of proxy / beta; with a short beta the exponential overflows unless the "
        "maximum is taken off.",
        "A weight that has become 0 adds 0 to KL, and its logarithm is -inf: leave it out.",
        "Against 1 / N: log(weight / (1 / N)).",
    ),
    call=_leash, inputs=120,
    holds=(Holds("KL is never negative", lambda f, p, g, b: f(p, g, b)[0] >= -1e-9),),
    mistakes=(
        mistake("it multiplies by beta", "The smaller beta, the longer the leash: divide.",
                "proxy / beta", "proxy * beta"),
        mistake("the maximum is not taken off", "e^3000 is inf, and inf / inf nan.",
                "np.exp(x - x.max())", "np.exp(x)"),
        mistake("KL forgets what the policy gave",
                "Against 1 / N: this is minus the entropy.",
                "np.log(some * len(proxy))", "np.log(some)"),
        mistake("the weights are not divided by their sum", "Probabilities sum to 1.",
                "    weight /= weight.sum()\n", ""),
        mistake("gold decides", "The policy sees the proxy; gold is only looked at.",
                "x = proxy / beta", "x = gold / beta"),
        mistake("weights of 0 make it nan", "0 log 0 is 0 here: leave them out.",
                "weight[weight > 0]", "weight"),
        mistake("the worst are preferred", "e to the power of +proxy / beta.",
                "x = proxy / beta", "x = -proxy / beta"),
    ),
)


def _curve(draw: Draw) -> tuple[Any, ...]:
    """(kl, proxy, gold) of several points, and gold of the policy itself."""
    gold = [(0.0, 1.0, 2.0, -1.0, 1.5, 3.0)[draw.integer(0, 5)] for _ in range(draw.integer(1, 6))]
    return [(0.5 + i, float(i), value) for i, value in enumerate(gold)], float(draw.integer(-1, 1))


def _lost(f: Any, points: list[tuple[float, float, float]], start: float) -> Any:
    from tinygpt.alignment.best_of_n import Point

    return f([Point(*point) for point in points], start)


LOST = Exercise(
    name="lost", title="How much of the gain is lost", kind="write", target=f"{MODULE}:lost",
    chapter=CHAPTER, minutes=10, after=("tilted",),
    hints=(
        "The point with the highest gold: max with a key. Of equals the first.",
        "The gain is what it has above the start; what is lost, the part of it that the last point "
        "has no more.",
        "If nothing was ever gained, no share of it can be lost: nan.",
    ),
    call=_curve, run=_lost, shown="{f}([Point(*p) for p in {0}], {1})", inputs=120,
    mistakes=(
        mistake("the best by proxy is taken", "Gold is what is wanted.",
                "point.gold)", "point.proxy)"),
        mistake("it is a difference, not a share", "Divided by the gain.",
                "(best.gold - points[-1].gold) / gain", "(best.gold - points[-1].gold)"),
        mistake("the start is forgotten", "The gain is above where it began.",
                "gain = best.gold - start", "gain = best.gold"),
        mistake("it compares with the first point", "With the last.",
                "points[-1].gold", "points[0].gold"),
        mistake("it says what is left", "What is lost.",
                "(best.gold - points[-1].gold) / gain", "(points[-1].gold - start) / gain"),
        mistake("without a gain it is 0", "Nothing to lose is not nothing lost: nan.",
                'float("nan")', "0.0"),
        mistake("it says the gold, not how far",
                "At which KL gold was highest: there one should have stopped.",
                "return best.kl,", "return best.gold,"),
    ),
)

TRICKS = Exercise(
    name="tricks", title="What a policy finds, beforehand", kind="predict", target="",
    chapter=CHAPTER, minutes=10, after=("best-kl", "tilted"),
    hints=(
        "The best of n: log n - (n - 1) / n nats.",
        "At least one of n: one less the probability that there is none.",
        "A leash of beta weighs answers by e^(reward / beta).",
    ),
    questions=(
        Question("a", "How far is the best of 8 from the policy, in nats?",
                 lambda: math.log(8) - 7 / 8,
                 ((math.log(8), "Less (n - 1) / n."), (3.0, "Those are bits, of log n."))),
        Question("b", "One answer in a hundred is a trick. How often is there at least one among "
                 "64?", lambda: 1 - 0.99**64,
                 ((0.64, "Some hold several: one less the probability of none."),
                  (0.01, "That is of one answer."))),
        Question("c", "Two answers, alike likely, rewards 0 and 1, beta = 0.5. With what "
                 "probability does the best policy give the better one?",
                 lambda: 1 / (1 + math.exp(-2)),
                 ((1 / (1 + math.exp(-0.5)), "Divided by beta, not times."),
                  (1 / (1 + math.exp(-1)), "beta is 0.5."), (1.0, "The leash holds it back."))),
        Question("d", "All answers get the reward 1. What is RLOO's advantage of each?",
                 lambda: 0.0,
                 ((1.0, "Less the others' mean, which is 1."),)),
        Question("e", "The reward is a coin for each answer. By how much does the mean of what is "
                 "really wanted change, on average?", lambda: 0.0,
                 ((0.5, "A coin says nothing of the answers: it only makes noise."),
                  (1.0, "A coin says nothing of the answers: it only makes noise."))),
    ),
)

EXERCISES = (KL_OF_BEST, BEST_OF_N, BEST_HUNT, TILTED, LOST, TRICKS)
