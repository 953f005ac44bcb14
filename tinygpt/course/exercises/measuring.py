"""Evaluation: what a number is a mean of, how sure it is, and what chance alone would give."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygpt.course.draw import Draw
from tinygpt.course.exercise import Exercise, Holds, Question, mistake

INTERVALS = "tinygpt.evaluation.intervals"
CHAPTER = "evaluation.md"


def _read(draw: Draw) -> tuple[Any, ...]:
    """name, text, nats, ends, blocks, documents."""
    text = "".join(("a", " ", "é", "न")[draw.integer(0, 3)] for _ in range(draw.integer(1, 9)))
    size = len(text.encode())
    ends = sorted({*(draw.integer(1, size) for _ in range(draw.integer(0, 5))), size})
    nats = draw.array((len(ends),), np.float64, (1.0, 2.0, 0.5, 4.0, 8.0))
    return "it", text, nats, np.array(ends, np.float64), draw.integer(1, 6), draw.integer(1, 2)


BLOCKS = Exercise(
    name="bits", title="Whose nats are they?", kind="write",
    target="tinygpt.evaluation.language_modelling:_lines", chapter=CHAPTER, minutes=25,
    about="nats, ends: (tokens,), what each token cost, and behind which byte of the text it "
    "ends. With blocks = 1 the document is one line, named `name`; else there are about `blocks` "
    "of them over all documents, so blocks / documents here, rounded and at least one, named "
    '"NAME, block 1" and so on, cut at equal shares of the characters. A line is a dict of item, '
    "bytes, words, tokens and nats.",
    hints=(
        "np.linspace(0, len(text), count + 1), rounded, are the edges in characters. How many "
        "bytes is each piece?",
        "The running sum of the bytes says where each block ends; np.searchsorted finds the block "
        "of each token's end.",
        "np.bincount(which, nats, count) sums the nats of each block, np.bincount(which, "
        "minlength=count) counts its tokens.",
    ),
    call=_read, run=lambda f, *a: list(f(*a)), shown="list({f}({0}, {rest}))", inputs=150,
    holds=(
        Holds("no byte and no nat is lost",
              lambda f, name, text, nats, *rest: (
                  sum(line["bytes"] for line in f(name, text, nats, *rest)) == len(text.encode())
                  and abs(sum(line["nats"] for line in f(name, text, nats, *rest)) - nats.sum())
                  < 1e-9)),
    ),
    mistakes=(
        mistake("characters are counted for bytes",
                "Per character a text in another script looks three times as hard.",
                "len(text[a:b].encode())", "len(text[a:b])"),
        mistake("a token on an edge goes to the next block",
                "It ended there: it belongs to the block before the edge.",
                "np.searchsorted(stops, np.round(ends, 6))",
                'np.searchsorted(stops, np.round(ends, 6), side="right")'),
        mistake("a token belongs to where it begins",
                "To where it ends: only then all of it has been said.",
                "np.round(ends, 6)", "np.concatenate([[0.0], ends[:-1]]) + 1e-6"),
        mistake("each block has the mean of its nats",
                "Sums: a ratio of sums is made of them later, and of bytes, not of tokens.",
                '"nats": float(sums[number])',
                '"nats": float(sums[number]) / max(1, int(tokens[number]))'),
        mistake("each document is cut into all the blocks",
                "They are shared by the documents: blocks / documents each.",
                "max(1, round(blocks / documents))", "blocks"),
        mistake("words are counted in the whole text",
                "Each block's own.",
                "piece.split()", "text.split()"),
        mistake("blocks are numbered from 0",
                "The first is block 1.",
                "block {number + 1}", "block {number}"),
    ),
)


def _right(draw: Draw) -> tuple[Any, ...]:
    n = draw.integer(1, 40)
    return draw.integer(0, n) / n, n


WILSON = Exercise(
    name="wilson", title="How sure is a share?", kind="write", target=f"{INTERVALS}:wilson",
    chapter=CHAPTER, minutes=20,
    about="An Interval is (value, low, high, error, clusters); error is the plain standard error "
    "sqrt(p (1 - p) / n), clusters n. NORMAL.inv_cdf(q) is the number that a share q of a normal "
    "distribution lies below.",
    hints=(
        "Which true shares p would make what was seen no surprise? |value - p| <= z sqrt(p (1 - p) "
        "/ n). Solve that for p: a quadratic equation.",
        "Its middle is (value + z^2 / 2n) / (1 + z^2 / n): pulled towards one half.",
        "Half its width is z / (1 + z^2 / n) sqrt(value (1 - value) / n + z^2 / 4n^2). z leaves "
        "2.5 % on each side.",
    ),
    call=_right, inputs=150,
    holds=(
        Holds("it is never empty", lambda f, value, n: f(value, n)[1] < f(value, n)[2]),
        Holds("it stays between 0 and 1",
              lambda f, value, n: f(value, n)[1] >= 0 and f(value, n)[2] <= 1),
    ),
    mistakes=(
        mistake("it is value +- z times the standard error",
                "Where all are right that is an empty interval: sure of everything after one item.",
                "(value + z * z / (2 * n)) / (1 + z * z / n)", "value",
                "z / (1 + z * z / n) * math.sqrt(value * (1 - value) / n + z * z / (4 * n * n))",
                "z * math.sqrt(value * (1 - value) / n)"),
        mistake("the middle is what was seen",
                "The middle is pulled towards one half; the true share cannot be beyond 1.",
                "(value + z * z / (2 * n)) / (1 + z * z / n)", "value"),
        mistake("the width is not divided by 1 + z^2 / n",
                "It is too wide then, most with few items.",
                "z / (1 + z * z / n) * math.sqrt", "z * math.sqrt"),
        mistake("z leaves 5 % on each side",
                "95 % in the middle leave 2.5 % on each.",
                "(1 + LEVEL) / 2", "LEVEL"),
        mistake("4 n in place of 4 n^2",
                "z^2 / (4 n^2): it matters where nearly all are right.",
                "(4 * n * n)", "(4 * n)"),
        mistake("z stands where its square should",
                "z^2 / 2n.",
                "(value + z * z / (2 * n))", "(value + z / (2 * n))"),
        mistake("the error is the variance",
                "The standard error is its root.",
                "error = math.sqrt(value * (1 - value) / n)", "error = value * (1 - value) / n"),
    ),
)


def _clusters(draw: Draw) -> tuple[Any, ...]:
    """Bits, bytes, a seed; sometimes no bytes at all, or not as many of one as of the other."""
    n = draw.integer(1, 9)
    bits = draw.array((n,), np.float64, (1.0, 2.0, 4.0, 5.0, 8.0))
    sizes = draw.array((n,), np.float64, (1.0, 2.0, 0.25, 6.0))
    wrong = draw.integer(0, 9)
    return bits[wrong == 9 :], sizes * (wrong != 8), draw.integer(0, 9)


BOOTSTRAP = Exercise(
    name="bootstrap", title="Drawn again, with replacement", kind="write",
    target=f"{INTERVALS}:ratio", chapter=CHAPTER, minutes=45, after=("wilson",),
    about="Draw all at once, rng.integers(0, n, (RESAMPLES, n)): the clusters of each resample, so "
    "that yours can be compared with the real one. The 2.5 % at each end are moved outward: to the "
    "share of a normal distribution that lies below -sqrt(n / (n - 1)) t, t being "
    "t_quantile((1 + LEVEL) / 2, n - 1). error: the resamples' standard deviation, widened by "
    "sqrt(n / (n - 1)). Nothing to divide, or by nothing: ValueError.",
    hints=(
        "The number itself is sum(above) / sum(below). A resample is the same of drawn clusters: "
        "above and below of one draw belong together.",
        "which = rng.integers(0, n, (RESAMPLES, n)); x[which].sum(axis=1) / y[which].sum(axis=1).",
        "np.quantile(drawn, [outward, 1 - outward]). With fewer than FEWEST clusters low, high and "
        "error are nan.",
    ),
    call=_clusters, run=lambda f, x, y, seed: f(x, y, np.random.default_rng(seed)),
    shown="{f}({0}, {1}, np.random.default_rng({2}))", inputs=40,
    mistakes=(
        mistake("it is a mean of ratios",
                "A document of three bytes would count as much as a book.",
                "float(x.sum() / y.sum())", "float((x / y).mean())"),
        mistake("it draws without replacement",
                "All n of n are the same sum every time: an interval without width.",
                "rng.integers(0, n, (min(rows, RESAMPLES - at), n))",
                "rng.permuted(np.tile(np.arange(n), (RESAMPLES, 1)), axis=1)"),
        mistake("above and below are drawn apart",
                "One draw decides of which clusters both sums are.",
                "y[which].sum", "y[which[::-1]].sum"),
        mistake("the percentiles are not moved outward",
                "With few clusters the plain ones are too narrow.",
                "NORMAL.cdf(-math.sqrt(n / (n - 1)) * t_quantile((1 + LEVEL) / 2, n - 1))",
                "(1 - LEVEL) / 2"),
        mistake("they are moved for a normal distribution",
                "How the clusters spread was guessed from n of them: t is wider.",
                "t_quantile((1 + LEVEL) / 2, n - 1)", "NORMAL.inv_cdf((1 + LEVEL) / 2)"),
        mistake("the error is not widened",
                "n draws of n know their own mean: sqrt(n / (n - 1)) too narrow.",
                "float(drawn.std() * math.sqrt(n / (n - 1)))", "float(drawn.std())"),
        mistake("the error is divided by the root of n once more",
                "The resamples are means already: how they spread is the error.",
                "float(drawn.std() * math.sqrt(n / (n - 1)))",
                "float(drawn.std() / math.sqrt(n))"),
        mistake("it says something of two clusters",
                "Two numbers say next to nothing of how they differ.",
                "n < FEWEST", "n < 2"),
    ),
)


def _guesses(draw: Draw) -> tuple[Any, ...]:
    return ([(0.25, 0.5, 0.2, 1.0)[draw.integer(0, 3)] for _ in range(draw.integer(1, 40))],)


CHANCE = Exercise(
    name="chance-faster", title="What guessers reach, of thousands of items", kind="faster",
    target=f"{INTERVALS}:chance", chapter=CHAPTER, minutes=45, after=("wilson",), goal=3.0,
    work=lambda: (np.tile([0.25, 0.5, 0.2], 1000).tolist(),),
    hints=(
        "Adding one item to n takes n multiplications, so all take n^2 / 2, and a call of NumPy "
        "each. Where can many items be added at once?",
        "The distributions of two halves, convolved, are that of the whole. Small ones next to "
        "each other have the same length: an array of them can be convolved in one go.",
        "Items with the same p are binomial together; and np.fft turns a long convolution into a "
        "product. Either is enough.",
    ),
    call=_guesses, inputs=80,
    mistakes=(
        mistake("it is the normal distribution's guess",
                "With few items the tails are not normal.",
                "    low = int(np.searchsorted(below, tail, side=\"right\"))\n",
                "    q = np.asarray(ways, np.float64)\n"
                "    low = max(0, round(q.sum() - 1.96 * np.sqrt((q * (1 - q)).sum())))\n"),
        mistake("5 % lie on each side", "95 % in the middle leave 2.5 % on each.",
                "(1 - LEVEL) / 2", "1 - LEVEL"),
        mistake("all items have the first one's chance",
                "Each has its own.",
                "np.asarray(ways, np.float64)", "[ways[0]] * len(ways)"),
        mistake("right and wrong are exchanged",
                "With probability p one more is right.",
                "[1 - p, p]", "[p, 1 - p]"),
        mistake("it counts, and does not divide",
                "Shares are asked for.",
                "return low / len(ways), min(high, len(ways)) / len(ways)",
                "return float(low), float(min(high, len(ways)))"),
        mistake("the last item is left out",
                "All of them.",
                "np.asarray(ways, np.float64)", "np.asarray(ways, np.float64)[:-1]"),
    ),
)

SURE = Exercise(
    name="sure", title="What a number is worth, beforehand", kind="predict", target="",
    chapter=CHAPTER, minutes=10, after=("losses", "wilson", "bootstrap"),
    hints=(
        "Bits are nats divided by ln 2; what is divided by is the text's bytes.",
        "The standard error of a share is sqrt(p (1 - p) / n).",
        "Kappa: what they agree on above chance, divided by what there is above chance.",
    ),
    questions=(
        Question("a", "1000 tokens of a text of 4000 bytes cost 2 nats each. Bits per byte?",
                 lambda: 2 * 1000 / math.log(2) / 4000,
                 ((0.5, "Those are nats a byte."), (2 / math.log(2), "Those are bits a token."))),
        Question("b", "The standard error of 50 right answers of 100?", lambda: 0.05,
                 ((0.5, "Divide by the root of n."), (0.0025, "That is the variance: its root."))),
        Question("c", "By what factor do you need more items for an interval half as wide?",
                 lambda: 4,
                 ((2, "The width falls with the root of the number."),)),
        Question("d", "Two raters say A four times of five, each by dice. On which share of "
                 "items do they agree?", lambda: 0.8**2 + 0.2**2,
                 ((0.8, "Both must say the same: both A, or both B."),
                  (0.64, "They also agree where both say B."))),
        Question("e", "They agree on 84 of 100. What is kappa?",
                 lambda: (0.84 - 0.68) / (1 - 0.68),
                 ((0.84, "That is agreement; chance alone gives 0.68."),
                  (0.16, "Divided by what there is above chance: 0.32."))),
    ),
)

EXERCISES = (BLOCKS, WILSON, BOOTSTRAP, CHANCE, SURE)
