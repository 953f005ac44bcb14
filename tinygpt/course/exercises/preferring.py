"""Preferences: from choices to a loss, with numbers between and without."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygpt.course.draw import Draw
from tinygpt.course.exercise import Exercise, Question, mistake
from tinygpt.course.exercises.work import slopes

ALPHA_OF = "tinygpt.feedback.agreement:krippendorff"
CHAPTER = "preferences.md"


def _marks(draw: Draw) -> tuple[Any, ...]:
    return ([["abt"[draw.integer(0, 2)] for _ in range(draw.integer(0, 4))]
             for _ in range(draw.integer(0, 5))],)


ALPHA_MISTAKES = (
    mistake("who stands alone counts for what chance gives",
            "A single mark cannot agree with any: it does not count at all.",
            "    items = [marks for marks in items if len(marks) > 1]\n", "",
            "        total.update(marks)\n",
            "        total.update(marks)\n        if len(marks) < 2:\n            continue\n"),
    mistake("an item counts by its pairs",
            "An item of m marks has m (m - 1) pairs, and is to count as m marks: divide by m - 1.",
            "(len(marks) - 1)\n", "1\n"),
    mistake("it is divided by m, not by m - 1",
            "Each mark has m - 1 others.",
            "(len(marks) - 1)\n", "len(marks)\n"),
    mistake("each pair counts once",
            "By chance pairs are counted in both orders, so here too.",
            "2 * unlike", "unlike"),
    mistake("by chance a mark may meet itself",
            "Two different marks are drawn of n: n (n - 1) pairs, not n^2.",
            "(n - 1) * disagreed", "n * disagreed"),
    mistake("it is the disagreement",
            "One less it, so that 1 is always.",
            "1 - (n - 1) * disagreed / by_chance", "(n - 1) * disagreed / by_chance"),
    mistake("only neighbours are compared",
            "Every pair of an item's marks.",
            "combinations(marks, 2)", "zip(marks, marks[1:], strict=False)"),
    mistake("where nothing could differ it is 1",
            "Nobody knows: nan.",
            'return float("nan")', "return 1.0"),
)

ALPHA = Exercise(
    name="alpha", title="Any number of raters", kind="write", target=ALPHA_OF, chapter=CHAPTER,
    minutes=25, after=("kappa",),
    about="alpha = 1 - observed / expected disagreement. Observed: over all items with m >= 2 "
    "marks, the ordered pairs of unlike marks divided by m - 1, summed, then divided by n, all "
    "marks in such items. Expected: the ordered pairs of unlike marks among all n, divided by "
    "n (n - 1). Where none could be unlike: nan.",
    hints=(
        "itertools.combinations(marks, 2) are the pairs of an item; each is two ordered ones.",
        "Unlike pairs among all n: n^2 less the sum of the squares of how often each mark is used.",
        "n cancels in part: 1 - (n - 1) disagreed / (n^2 - sum of k^2).",
    ),
    call=_marks, inputs=200, mistakes=ALPHA_MISTAKES,
)

ALPHA_HUNT = Exercise(
    name="alpha-hunt", title="A test for alpha", kind="hunt", target=ALPHA_OF, chapter=CHAPTER,
    minutes=20, after=("alpha",),
    hints=(
        "Always the same within an item, and not over all of them: 1.",
        "Work one example out on paper: three raters, a gap, an item with one mark.",
        "What if there is nothing to compare, or everybody always says the same?",
    ),
    begins='    assert krippendorff([["a", "a"], ["b", "b"]]) == 1\n', mistakes=ALPHA_MISTAKES,
    equals=(
        mistake("with the unlike pairs counted mark by mark", "k (n - k) of each.",
                "n * n - sum(k * k for k in total.values())",
                "sum(k * (n - k) for k in total.values())"),
        mistake("with both orders counted", "Each pair twice.",
                "2 * unlike", "(unlike + unlike)"),
        mistake("with one sum of what was used", "total.total() of later Pythons.",
                "n = sum(total.values())", "n = sum(map(len, items))"),
    ),
)


def _scored(draw: Draw) -> tuple[Any, ...]:
    """chosen, rejected, tie, margin, centring."""
    count, numbers = draw.integer(1, 4), [0.0, 1.0, -1.0, 0.5, 2.0, -2.5]
    numbers += [1000.0, -1000.0] * draw.flag()
    chosen, rejected = (draw.array((count,), np.float64, numbers) for _ in range(2))
    tie = draw.ids((count,), 3) == 2
    return chosen, rejected, tie, draw.array((count,), np.float64, (0.0, 1.0, 0.5)), draw.choice(
        (0.0, 0.01)
    )


def _of_scores(f: Any, chosen: np.ndarray, rejected: np.ndarray, *rest: Any) -> Any:
    from minigrad import Tensor

    both = [Tensor(one.copy(), requires_grad=True) for one in (chosen, rejected)]
    return slopes(f(*both, *rest), both)


def _choices_check(draw: Draw) -> Any:
    tie, margin = np.array([False, True, False]), np.array([0.0, 0.5, 1.0])

    def loss(chosen: Any, rejected: Any) -> Any:
        from tinygpt.alignment.reward_model import bradley_terry

        return bradley_terry(chosen, rejected, tie, margin, 0.01).sum()

    return loss, [draw.array((3,)), draw.array((3,))]


def _judge_losses() -> list[float]:
    """The losses of 20 steps of a linear reward that learns choices."""
    from minigrad import Tensor
    from tinygpt.alignment.reward_model import bradley_terry

    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((2, 40, 3))
    better = (left - right) @ np.array([1.0, -2.0, 0.5]) + rng.logistic(size=40) > 0
    signs = np.where(better, 1.0, -1.0)[:, None]
    middle, apart = (left + right) / 2, (left - right) / 2 * signs
    tie, weight, losses = rng.random(40) < 0.1, Tensor(np.zeros((3, 1)), requires_grad=True), []
    for _ in range(20):
        weight.grad = None
        chosen, rejected = ((Tensor(x) @ weight).reshape(-1)
                            for x in (middle + apart, middle - apart))
        loss = bradley_terry(chosen, rejected, tie, np.zeros(40), 0.01).mean()
        loss.backward()
        weight.data -= np.asarray(weight.grad)
        losses.append(loss.item())
    return losses


BRADLEY_TERRY = Exercise(
    name="bradley-terry", title="From a choice to a loss", kind="write",
    target="tinygpt.alignment.reward_model:bradley_terry", chapter=CHAPTER, minutes=25,
    after=("losses", "cross-entropy"),
    about="Of a choice: -log sigma(h - margin), h the chosen score less the other. Of a tie: half "
    "of that of either choice, without a margin. To both centring (chosen + rejected)^2 is added.",
    hints=(
        "-log sigma(u) is log(1 + e^-u): ops.softplus(-u) does not overflow.",
        "tie and margin are arrays, no Tensors of the graph: Tensor(np.asarray(margin, h.dtype)).",
        "choice * (1 - even) + draw * even picks one of two losses for each pair, and no gradient "
        "is lost.",
    ),
    call=_scored, run=_of_scores, shown="{f}(Tensor({0}), Tensor({1}), ...)", inputs=100,
    gradient=_choices_check, joins=_judge_losses, joined="20 steps of a reward that learns choices",
    mistakes=(
        mistake("the rejected answer is to win",
                "h is chosen less rejected.",
                "h = chosen - rejected", "h = rejected - chosen"),
        mistake("the margin helps the chosen answer",
                "The difference must be larger than the margin: it is taken off.",
                "ops.softplus(by - h)", "ops.softplus(-by - h)"),
        mistake("the margin is left out",
                "Who said by how much would be heard like anybody.",
                "ops.softplus(by - h)", "ops.softplus(-h)"),
        mistake("the margin moves ties",
                "Nobody said a margin of two that are alike.",
                "ops.softplus(h) + ops.softplus(-h)",
                "ops.softplus(by + h) + ops.softplus(by - h)"),
        mistake("it is the probability, not its logarithm",
                "Minus log of it: choices multiply, so their logarithms add up.",
                "ops.softplus(by - h)", "ops.sigmoid(by - h)"),
        mistake("log of sigma overflows",
                "sigma(-1000) is 0 in floats, and its log -inf: softplus.",
                "ops.softplus(by - h)", "-ops.log(ops.sigmoid(h - by))"),
        mistake("a tie is a choice of the first",
                "Half a choice each way.",
                "tie.astype(h.dtype)", "np.zeros(tie.shape, h.dtype)"),
        mistake("a tie counts as two choices",
                "Half of each.",
                ") * 0.5", ") * 1.0"),
        mistake("centring pulls the difference to 0",
                "The sum: where 0 lies is free, by how much one is better is what is learned.",
                "ops.square(chosen + rejected)", "ops.square(chosen - rejected)"),
    ),
)


def _answers(draw: Draw) -> tuple[Any, ...]:
    counts = np.array([draw.integer(1, 4) for _ in range(draw.integer(1, 4))])
    return draw.array((int(counts.sum()),), draw.dtype()), counts


def _summed(f: Any, x: np.ndarray, counts: np.ndarray) -> Any:
    from minigrad import Tensor

    tokens = Tensor(x.copy(), requires_grad=True)
    return slopes(f(tokens, counts), [tokens])


def _sums_check(draw: Draw) -> Any:
    def total(x: Any) -> Any:
        from tinygpt.alignment.scores import sums

        return sums(x, np.array([1, 3, 2])).square().sum()

    return total, [draw.array((6,))]


ANSWER_SUMS = Exercise(
    name="answer-sums", title="An answer's log-probability", kind="write",
    target="tinygpt.alignment.scores:sums", chapter=CHAPTER, minutes=15,
    after=("mean", "answer-mask"),
    hints=(
        "Answers stand one behind the other: the i-th begins at counts[:i].sum().",
        "np.add.reduceat(x.data, starts) sums from each start to the next.",
        "Back: each token of an answer gets that answer's dy. np.repeat.",
    ),
    call=_answers, run=_summed, shown="{f}(Tensor({0}), {1})", gradient=_sums_check, inputs=80,
    mistakes=(
        mistake("it is a mean",
                "log pi of an answer is a sum; the mean is another loss's (simpo.py).",
                "np.add.reduceat(x.data, starts)",
                "np.add.reduceat(x.data, starts) / counts.astype(x.dtype)"),
        mistake("the gradient is that of a mean",
                "Each token counts fully in a sum.",
                "np.repeat(dy, counts)", "np.repeat(dy / counts.astype(dy.dtype), counts)"),
        mistake("sums run on over all answers before",
                "Each answer's own tokens.",
                "np.add.reduceat(x.data, starts)", "np.cumsum(x.data)[starts + counts - 1]"),
        mistake("the first token alone learns",
                "All tokens of an answer get its gradient.",
                "np.repeat(dy, counts)",
                "np.where(np.isin(np.arange(counts.sum()), starts), np.repeat(dy, counts), 0)"),
        mistake("the gradient goes round the answers token by token",
                "An answer's tokens are neighbours: repeat, not tile.",
                "np.repeat(dy, counts)", "np.resize(dy, counts.sum())"),
        mistake("the last token is left out",
                "The token that ends an answer belongs to it.",
                "np.add.reduceat(x.data, starts)",
                "np.add.reduceat(x.data, starts) - x.data[starts + counts - 1]"),
        mistake("all answers are one",
                "A number for each.",
                "np.add.reduceat(x.data, starts)",
                "np.full(len(counts), x.data.sum(), x.dtype)"),
    ),
)


def _compared(draw: Draw) -> tuple[Any, ...]:
    """chosen, rejected, theirs by the reference, tokens of both, beta, smoothing."""
    count, numbers = draw.integer(1, 4), (-1.0, -2.0, -2.5, -4.0, -6.0)
    scores = [draw.array((count,), np.float64, numbers) for _ in range(4)]
    tokens = [1 + draw.ids((count,), 4) for _ in range(2)]
    return *scores, *tokens, draw.choice((0.5, 0.1, 2.0)), draw.choice((0.0, 0.1, 0.5))


def _of_pairs(f: Any, *a: Any) -> Any:
    from minigrad import Tensor
    from tinygpt.alignment.pairs import PairScores

    chosen, rejected = (Tensor(one.copy(), requires_grad=True) for one in a[:2])
    pairs = PairScores(chosen, rejected, *a[2:6])
    return slopes(f(pairs, *a[6:]), [chosen, rejected])


def _policy() -> Any:
    """What 20 steps of DPO make of choices whose rewards are known."""
    from tinygpt.alignment.bandit import Bandit, by_pairs

    bandit = Bandit.draw(np.random.default_rng(0), prompts=8)
    return by_pairs(bandit, bandit.choices(), steps=20)


DPO = Exercise(
    name="dpo", title="A policy is a reward model", kind="write",
    target="tinygpt.alignment.dpo:dpo", chapter=CHAPTER, minutes=30,
    after=("bradley-terry", "answer-sums"),
    about="pairs.margin is h: by how much more the policy has come to prefer the chosen answer "
    "than the reference did, log pi / pi_ref of the chosen one less that of the rejected one. "
    "constant(values, like) makes a Tensor without a gradient.",
    hints=(
        "-log sigma(beta h) = log(1 + e^(-beta h)): ops.softplus.",
        "A choice that was a slip is one the other way round: -log sigma(-beta h).",
        "Of a share `smoothing` of the choices one takes the second, of the rest the first.",
    ),
    call=_compared, run=_of_pairs, shown="{f}(PairScores({0}, {1}, ...), ...)", inputs=100,
    joins=_policy, joined="20 steps of a policy that learns choices",
    mistakes=(
        mistake("the reference is left out",
                "What counts is what has changed: log pi - log pi_ref of both.",
                "pairs.margin * beta", "(pairs.chosen - pairs.rejected) * beta"),
        mistake("it prefers what was rejected",
                "h is of the chosen less of the rejected.",
                "pairs.margin * beta", "pairs.margin * -beta"),
        mistake("it divides by beta",
                "r = beta log(pi / pi_ref): times.",
                "pairs.margin * beta", "pairs.margin * (1 / beta)"),
        mistake("beta stands outside of the logarithm",
                "It is inside: it says how sure a difference makes.",
                "h = pairs.margin * beta", "h = pairs.margin",
                "return ops.softplus(-h) * (1 - slips) + ops.softplus(h) * slips",
                "return (ops.softplus(-h) * (1 - slips) + ops.softplus(h) * slips) * beta"),
        mistake("log-probabilities are means over tokens",
                "Sums: the derivation speaks of whole answers.",
                "pairs.margin * beta",
                "(pairs.gains[0] / constant(pairs.chosen_tokens, pairs.chosen) - pairs.gains[1] / "
                "constant(pairs.rejected_tokens, pairs.rejected)) * beta"),
        mistake("slips are ignored",
                "A share of the choices is taken for the other way round.",
                "ops.softplus(-h) * (1 - slips) + ops.softplus(h) * slips", "ops.softplus(-h)"),
        mistake("a slip is added, and nothing taken off for it",
                "Shares sum to 1.",
                "ops.softplus(-h) * (1 - slips)", "ops.softplus(-h)"),
        mistake("it is the probability of being wrong, not its surprise",
                "-log sigma(h), not sigma(-h).",
                "ops.softplus(-h) * (1 - slips) + ops.softplus(h) * slips",
                "ops.sigmoid(-h) * (1 - slips) + ops.sigmoid(h) * slips"),
    ),
)

CHOICES = Exercise(
    name="choices", title="What a choice teaches, beforehand", kind="predict", target="",
    chapter=CHAPTER, minutes=10, after=("bradley-terry", "dpo"),
    hints=(
        "p(w over l) = 1 / (1 + e^-(r_w - r_l)).",
        "Only differences count, of rewards and of log-probabilities.",
        "dloss/dh of -log sigma(h) is -sigma(-h): what is right already pulls little.",
    ),
    questions=(
        Question("a", "The loss of a reward model that gives all answers 0, in nats a pair?",
                 lambda: math.log(2),
                 ((0.5, "That is the probability; the loss is -log of it."),
                  (1.0, "That is in bits."))),
        Question("b", "r = 2 and r = 1: how often do people choose the first, by Bradley-Terry?",
                 lambda: 1 / (1 + math.exp(-1)),
                 ((2 / 3, "Not in the ratio of the rewards: in that of their exponentials."),
                  (1.0, "Often, and not always."))),
        Question("c", "The same with r = 102 and r = 101?", lambda: 1 / (1 + math.exp(-1)),
                 ((102 / 203, "A constant changes no difference."),)),
        Question("d", "log pi - log pi_ref is -3 for the chosen answer, -5 for the rejected one, "
                 "beta = 0.5. The loss of DPO?", lambda: math.log(1 + math.exp(-1)),
                 ((math.log(1 + math.exp(1)), "Chosen less rejected is +2, though both fell."),
                  (math.log(1 + math.exp(-2)), "Times beta."))),
        Question("e", "IPO with tau = 0.25: at which margin h is a pair left in peace?",
                 lambda: 2.0,
                 ((0.25, "1 / (2 tau)."), (4.0, "1 / (2 tau), not 1 / tau."))),
    ),
)

EXERCISES = (ALPHA, ALPHA_HUNT, BRADLEY_TERRY, ANSWER_SUMS, DPO, CHOICES)
