"""Policy gradients: who gets the credit, how far a step may go, and how long the leash is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygpt.course.draw import Draw
from tinygpt.course.exercise import Exercise, Holds, Question, mistake
from tinygpt.course.exercises.work import slopes

RLOO_OF = "tinygpt.alignment.rloo:leave_one_out"
CHAPTER = "policy-gradients.md"
LEARNS = "20 steps of a policy whose best is known"


def _policy(name: Any) -> Any:
    """A function that trains a policy on rewards that are known, for 20 steps."""

    def train() -> Any:
        from tinygpt.alignment.bandit import Bandit, by_policy_gradient
        from tinygpt.alignment.policy import PolicyConfig

        bandit = Bandit.draw(np.random.default_rng(0), prompts=8)
        rng = np.random.default_rng(1)
        return by_policy_gradient(bandit, PolicyConfig(name), rng, steps=20)

    return train


def _rewards(draw: Draw) -> tuple[Any, ...]:
    return (draw.array((draw.integer(1, 3), draw.integer(2, 5)), np.float64),)


RLOO_MISTAKES = (
    mistake("an answer is compared with itself too",
            "The mean of the others: leave one out.",
            " * (group / (group - 1))", ""),
    mistake("the mean is over all prompts",
            "Each prompt has its own usual reward.",
            "rewards.mean(axis=1, keepdims=True)", "rewards.mean()"),
    mistake("the mean is over prompts, not over answers",
            "The answers to one prompt are a row.",
            "rewards.mean(axis=1, keepdims=True)", "rewards.mean(axis=0, keepdims=True)"),
    mistake("it is divided by the deviation",
            "That is GRPO: easy and hard prompts would then count more than those between.",
            "(group / (group - 1))", "(1 / (rewards.std(axis=1, keepdims=True) + 1e-4))"),
    mistake("the factor is turned round",
            "G / (G - 1) is above 1.",
            "(group / (group - 1))", "((group - 1) / group)"),
    mistake("what is better than usual is punished",
            "r less the usual.",
            "(rewards - rewards.mean(axis=1, keepdims=True))",
            "(rewards.mean(axis=1, keepdims=True) - rewards)"),
    mistake("it is compared with the best",
            "With the mean of the others, or nothing would ever be above 0.",
            "rewards.mean(axis=1, keepdims=True)", "rewards.max(axis=1, keepdims=True)"),
    mistake("prompts are counted for answers",
            "G is the length of a row.",
            "rewards.shape[1]", "(rewards.shape[0] + 1)"),
)

RLOO = Exercise(
    name="leave-one-out", title="Better than the others?", kind="write", target=RLOO_OF,
    chapter=CHAPTER, minutes=10, after=("accumulation",),
    hints=(
        "For each answer: its reward less the mean of the other G - 1.",
        "The sum of the others is the sum of all less its own.",
        "It comes to G / (G - 1) times (r - mean of all).",
    ),
    call=_rewards, inputs=100, joins=_policy("rloo"), joined=LEARNS,
    holds=(
        Holds("a constant changes nothing",
              lambda f, r: bool(np.allclose(f(r + 3), f(r), atol=1e-9))),
    ),
    mistakes=RLOO_MISTAKES,
)

RLOO_HUNT = Exercise(
    name="leave-one-out-hunt", title="A test for advantages", kind="hunt", target=RLOO_OF,
    chapter=CHAPTER, minutes=15, after=("leave-one-out",),
    hints=(
        "Two answers, rewards 1 and 0: the advantages are 1 and -1.",
        "Several prompts at once, of different levels, and more answers than prompts.",
        "A loop that leaves each answer out is a second way to say it: compare.",
    ),
    begins="    a = leave_one_out(np.array([[1.0, 0.0]]))\n    assert a[0, 0] > 0\n",
    mistakes=RLOO_MISTAKES,
    equals=(
        mistake("with the axis kept by an index", "[:, None].",
                "rewards.mean(axis=1, keepdims=True)", "rewards.mean(axis=1)[:, None]"),
        mistake("with the factor as a quotient of one", "1 / (1 - 1 / G).",
                "group / (group - 1)", "1 / (1 - 1 / group)"),
        mistake("with the sum divided", "The mean.",
                "rewards.mean(axis=1, keepdims=True)",
                "rewards.sum(axis=1, keepdims=True) / group"),
    ),
)


def _written(draw: Draw) -> tuple[Any, ...]:
    """rewards, values, counts, gamma, lam."""
    counts = np.array([draw.integer(1, 4) for _ in range(draw.integer(1, 3))])
    both = [draw.array((int(counts.sum()),), np.float64) for _ in range(2)]
    return *both, counts, draw.choice((1.0, 0.9, 0.5)), draw.choice((0.5, 0.0, 1.0, 0.95))


GAE = Exercise(
    name="gae", title="Which token earned it?", kind="write", target="tinygpt.alignment.ppo:gae",
    chapter=CHAPTER, minutes=30, after=("leave-one-out", "answer-sums"),
    about="delta_t = r_t + gamma V_t+1 - V_t, and A_t = delta_t + gamma lam A_t+1; behind the last "
    "token of an answer V and A are 0. rewards and values are those of all answers' tokens, one "
    "answer behind the other; counts says how many each has.",
    hints=(
        "It is a loop from each answer's last token to its first.",
        "Keep two numbers of the token behind: its value and its advantage. Both are 0 at an end.",
        "Answers must not run into each other: np.cumsum(counts) says where they end.",
    ),
    call=_written, inputs=120,
    mistakes=(
        mistake("an answer's end sees the next one's beginning",
                "Behind the last token nothing comes: V and A are 0 there.",
                "number = np.repeat(np.arange(len(counts)), counts)",
                "number = np.zeros(len(rewards), int)",
                "place = np.arange(len(rewards)) - np.repeat(np.cumsum(counts) - counts, counts)",
                "place = np.arange(len(rewards))",
                "(2, len(counts), counts.max() + 1)", "(2, 1, len(rewards) + 1)",
                "range(counts.max() - 1, -1, -1)", "range(len(rewards) - 1, -1, -1)"),
        mistake("what the critic expects next is left out",
                "A token also earned what is still to come, by the critic: gamma V_t+1.",
                "gamma * v[:, t + 1] - v[:, t]", "- v[:, t]"),
        mistake("lam is left out",
                "gamma lam A_t+1: lam says how much is believed of what comes later.",
                "gamma * lam * later", "gamma * later"),
        mistake("gamma is left out of the advantage",
                "gamma lam A_t+1: both.",
                "gamma * lam * later", "lam * later"),
        mistake("gamma is left out of the next value",
                "gamma V_t+1.",
                "gamma * v[:, t + 1]", "v[:, t + 1]"),
        mistake("what the critic expected is not taken off",
                "Without - V_t it is a return, not what was better than expected.",
                " - v[:, t]", ""),
        mistake("it goes from the first token to the last",
                "A_t needs A_t+1: from the end.",
                "range(counts.max() - 1, -1, -1)", "range(counts.max())"),
        mistake("the token's own reward is left out",
                "r_t belongs to it.",
                "r[:, t] + gamma", "gamma"),
    ),
)


def _ratios(draw: Draw) -> tuple[Any, ...]:
    """log pi, log pi_old, advantages, low, high."""
    count = draw.integer(1, 4)
    log_pi, log_old = (draw.array((count,), np.float64, (-1.0, -1.5, -0.5, -2.0, -1.1))
                       for _ in range(2))
    advantages = draw.array((count,), np.float64, (1.0, -1.0, 2.0, -0.5))
    return log_pi, log_old, advantages, 0.2, draw.choice((0.3, 0.2))


def _of_policy(f: Any, log_pi: np.ndarray, *rest: Any) -> Any:
    from minigrad import Tensor

    x = Tensor(log_pi.copy(), requires_grad=True)
    return slopes(f(x, *rest), [x])


CLIP = Exercise(
    name="clip", title="Not too far at once", kind="write", target="tinygpt.alignment.ppo:clipped",
    chapter=CHAPTER, minutes=25, after=("leave-one-out",),
    about="loss = -min(rho A, clip(rho, 1 - low, 1 + high) A), rho = pi / pi_old. constant(values, "
    "like) makes a Tensor without a gradient.",
    hints=(
        "rho = e^(log pi - log pi_old); only log_pi is a Tensor.",
        "ops.clip(rho, 1 - low, 1 + high): no gradient outside.",
        "ops.minimum of the two products, then the sign: a loss goes down.",
    ),
    call=_ratios, run=_of_policy, shown="{f}(Tensor({0}), {rest})", inputs=120,
    joins=_policy("ppo"), joined=LEARNS,
    mistakes=(
        mistake("only the clipped product counts",
                "Where a step has made things worse there would be no way back: the minimum.",
                "ops.minimum(rho * a, ops.clip(rho, 1 - low, 1 + high) * a)",
                "(ops.clip(rho, 1 - low, 1 + high) * a)"),
        mistake("nothing is clipped",
                "Then one answer may be learned without end.",
                "ops.minimum(rho * a, ops.clip(rho, 1 - low, 1 + high) * a)", "(rho * a)"),
        mistake("the greater of the two is taken",
                "A lower bound of what is gained: the lesser, so that the loss is the greater.",
                "ops.minimum", "ops.maximum"),
        mistake("it climbs down the advantage",
                "A loss is minimised: minus.",
                "-ops.minimum", "ops.minimum"),
        mistake("rho is turned round",
                "pi / pi_old: new above old.",
                "log_pi - constant(log_old, log_pi)", "constant(log_old, log_pi) - log_pi"),
        mistake("rho is a difference of logarithms",
                "Its exponential.",
                "ops.exp(log_pi - constant(log_old, log_pi))",
                "(log_pi - constant(log_old, log_pi) + 1.0)"),
        mistake("the product is clipped, not the ratio",
                "By A's size the room would differ.",
                "ops.clip(rho, 1 - low, 1 + high) * a", "ops.clip(rho * a, 1 - low, 1 + high)"),
        mistake("there is as much room upwards as downwards",
                "high, not low: it may be more.",
                "1 + high", "1 + low"),
    ),
)


def _far(draw: Draw) -> tuple[Any, ...]:
    return (draw.array(draw.shape(1, 2, 3), draw.dtype()),)


def _far_check(draw: Draw) -> Any:
    def total(x: Any) -> Any:
        from tinygpt.alignment.kl import k3

        return k3(x).sum()

    return total, [draw.array((4,))]


K3 = Exercise(
    name="k3", title="How far from the reference, from samples", kind="write",
    target="tinygpt.alignment.kl:k3", chapter=CHAPTER, minutes=10, after=("tanh", "clip"),
    about="x = log pi(y) - log pi_ref(y) of what pi wrote. k3 = e^-x - 1 + x, whose mean is KL and "
    "which is never negative.",
    hints=(
        "E[e^-x] = E[pi_ref / pi] = 1: so e^-x - 1 has mean 0, and x has mean KL.",
        "With x on a Tensor: ops.exp, or better ops.expm1, which is e^u - 1 for small u too.",
        "Its slope is 1 - e^-x: 0 where the two agree.",
    ),
    call=_far, run=_of_policy, shown="{f}(Tensor({0}))", inputs=60,
    holds=(
        Holds("it is never negative",
              lambda f, x: bool((_of_policy(f, x)["value"] >= -1e-6).all())),
    ),
    gradient=_far_check,
    mistakes=(
        mistake("it is k1", "x alone: right on average, and often negative.",
                "ops.expm1(-x) + x", "x * 1.0"),
        mistake("it is k2", "x^2 / 2 is not right on average.",
                "ops.expm1(-x) + x", "ops.square(x) * 0.5"),
        mistake("pi and the reference are exchanged",
                "e^-x is pi_ref / pi. e^x - 1 - x is right for samples of the reference.",
                "ops.expm1(-x) + x", "ops.expm1(x) - x"),
        mistake("1 is not taken off", "At x = 0 it is 0: e^0 is 1.",
                "ops.expm1(-x)", "ops.exp(-x)"),
        mistake("x is not added", "e^-x - 1 has mean 0: it measures nothing.",
                "ops.expm1(-x) + x", "ops.expm1(-x)"),
        mistake("x is taken off", "e^-x falls by x near 0: + x makes it level there.",
                "ops.expm1(-x) + x", "ops.expm1(-x) - x"),
    ),
)


def _lengths(draw: Draw) -> tuple[Any, ...]:
    counts = np.array([draw.integer(1, 4) for _ in range(draw.integer(1, 4))])
    return counts, draw.choice(("grpo", "dr_grpo", "dapo")), draw.integer(4, 6)


WEIGHTS = Exercise(
    name="token-weights", title="Whose mean is it?", kind="write",
    target="tinygpt.alignment.grpo:token_weights", chapter=CHAPTER, minutes=20,
    after=("leave-one-out", "answer-sums"),
    about="Of N answers with |y| tokens each: grpo is the mean over answers of the means over "
    "their tokens; dr_grpo the mean over answers of sums divided by M, the most tokens an answer "
    "may have; dapo the mean over all tokens.",
    hints=(
        "Which number is a token's loss multiplied by? In dapo all alike, in the others by answer.",
        "grpo: 1 / (N |y|). dr_grpo: 1 / (N M). dapo: 1 / (the sum of all |y|).",
        "A number for each answer, then np.repeat by its tokens.",
    ),
    call=_lengths, inputs=100,
    mistakes=(
        mistake("grpo's tokens are all alike",
                "Each answer counts alike, so the tokens of a long one count less.",
                "1 / (len(counts) * counts)", "np.full(len(counts), 1 / counts.sum())"),
        mistake("grpo is a sum over answers",
                "A mean: divided by N.",
                "1 / (len(counts) * counts)", "1 / counts"),
        mistake("dr_grpo is a sum over answers",
                "A mean: divided by N.",
                "1 / (len(counts) * longest)", "1 / longest"),
        mistake("dr_grpo divides by the longest there is",
                "By the longest that may be: the same in every batch.",
                "(len(counts) * longest)", "(len(counts) * counts.max())"),
        mistake("dapo is divided by the answers as well",
                "All tokens of all answers, once.",
                "1 / counts.sum()", "1 / (len(counts) * counts.sum())"),
        mistake("dapo is dr_grpo",
                "What was written is divided by, not what might have been.",
                "1 / counts.sum()", "1 / (len(counts) * longest)"),
        mistake("the weights go round the answers token by token",
                "An answer's tokens are neighbours.",
                "np.repeat(share[mean], counts)", "np.resize(share[mean], counts.sum())"),
    ),
)

STEPS = Exercise(
    name="credits", title="What a reward moves, beforehand", kind="predict", target="",
    chapter=CHAPTER, minutes=15, after=("leave-one-out", "clip", "k3", "gae"),
    hints=(
        "Leave one out: an answer against the mean of the others.",
        "The clip takes the lesser of two gains; where the clipped one is the lesser, nothing "
        "moves.",
        "d rho / d log pi = rho.",
    ),
    questions=(
        Question("a", "Four answers, rewards [1, 0, 0, 0]. RLOO's advantage of the first?",
                 lambda: 1.0,
                 ((0.75, "That is 1 less the mean of all four; its own is left out."),
                  (1.5, "That is GRPO's, divided by the deviation."))),
        Question("b", "rho = 1.5, A = 1, room 0.2 both ways. dloss / dlog pi?", lambda: 0.0,
                 ((-1.5, "It has gone far enough: the clipped gain is the lesser, and is flat."),
                  (-1.2, "The clipped product is flat: it does not move with log pi."))),
        Question("c", "rho = 1.5, A = -1. dloss / dlog pi?", lambda: 1.5,
                 ((0.0, "It went the wrong way: the way back is never closed."),
                  (1.2, "The whole rho counts."), (-1.5, "Down the loss log pi must fall."))),
        Question("d", "log pi - log pi_ref = ln 2. What is k3?", lambda: 0.5 - 1 + math.log(2),
                 ((math.log(2), "That is k1."), (math.log(2) ** 2 / 2, "That is k2."),
                  (2 - 1 - math.log(2), "e^-x is a half here."))),
        Question("e", "Three tokens, a reward of 1 at the last, a critic that says 0 everywhere, "
                 "gamma = 1, lam = 0.5. The first token's advantage?", lambda: 0.25,
                 ((1.0, "That is with lam = 1."), (0.0, "That is with lam = 0."),
                  (0.5, "It is two steps away: lam twice."))),
    ),
)

EXERCISES = (RLOO, RLOO_HUNT, GAE, CLIP, K3, WEIGHTS, STEPS)
