"""Softmax, log-sum-exp and cross entropy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygpt.course.draw import NUMBERS, Draw
from tinygpt.course.exercise import Exercise, Holds, Question, mistake
from tinygpt.course.exercises.work import classifier_losses, gpt_losses, through

SCORES = (*NUMBERS[:13], 1000.0, -1000.0, -math.inf, -math.inf)
CLASSIFIER, GPT = "20 steps of a classifier", "20 steps of a small GPT"


def _scores(draw: Draw) -> tuple[Any, ...]:
    if draw.integer(0, 19) == 19:
        return (draw.array((2, 3), np.int64),) if draw.flag() else (np.zeros((0, 3)),)
    x = draw.array(draw.shape(1, 3), draw.dtype(), SCORES if draw.flag() else NUMBERS)
    if draw.integer(0, 3) == 3:
        x[(0,) * (x.ndim - 1)] = -np.inf
    return (x,)


def _rows_sum_to_one(f: Any, x: np.ndarray) -> bool:
    total = np.asarray(f(x)).sum(axis=-1)
    masked = np.isneginf(x).all(axis=-1)
    return bool(np.allclose(total, np.where(masked, 0, 1), atol=1e-5))


def _shift_changes_nothing(f: Any, x: np.ndarray) -> bool:
    return bool(np.allclose(f(x), f(x + x.dtype.type(2)), atol=1e-5))


SOFTMAX_MISTAKES = (
    mistake("the maximum is not subtracted",
            "e^1000 is inf, and inf / inf is nan. softmax(x) = softmax(x - max x), which cannot "
            "overflow.",
            "np.exp(x - np.where(np.isneginf(peak), 0, peak))", "np.exp(x)"),
    mistake("the sum runs over the first axis",
            "Each row is a distribution: it is the last axis that sums to 1.",
            "e.sum(axis=-1, keepdims=True)", "e.sum(axis=0, keepdims=True)"),
    mistake("the whole array sums to 1",
            "Each row is a distribution by itself: sum over the last axis only.",
            "e.sum(axis=-1, keepdims=True)", "e.sum(keepdims=True)"),
    mistake("the sum has lost its axis",
            "(R, V) / (R,) does not broadcast over rows; keepdims=True leaves (R, 1).",
            "e.sum(axis=-1, keepdims=True)", "e.sum(axis=-1)"),
    mistake("one maximum is subtracted from all rows",
            "A row far below the largest number of another row underflows to zeros. Each row has "
            "its own maximum.",
            "x.max(axis=-1, keepdims=True)", "x.max(keepdims=True)"),
    mistake("a row of only -inf becomes nan",
            "-inf - -inf is nan. Such a row is a query with every key masked; it gives zeros.",
            "np.where(np.isneginf(peak), 0, peak)", "peak"),
    mistake("nothing is divided by the sum",
            "Exponentials become probabilities by dividing by their sum.",
            "return e / np.where(total == 0, 1, total)", "return e"),
    mistake("powers of 2 in place of e",
            "exp2 is 2^x.", "np.exp(", "np.exp2("),
    mistake("the largest score gets the least",
            "The exponent's sign is turned round: e^(max - x).",
            "np.exp(x - np.where(np.isneginf(peak), 0, peak))",
            "np.exp(np.where(np.isneginf(peak), 0, peak) - x)"),
    mistake("the scores themselves are divided by their sum",
            "Softmax takes exponentials first; scores may be negative.",
            "np.exp(x - np.where(np.isneginf(peak), 0, peak))", "x"),
)

SOFTMAX = Exercise(
    name="softmax", title="Softmax that does not overflow", kind="write",
    target="kernels.numpy_ref.softmax:softmax_forward", chapter="softmax.md", minutes=20,
    after=("shapes",),
    hints=(
        "e^x of each score, divided by the row's sum. Try it on [1000, 0]: what happens?",
        "softmax(x) = softmax(x - c) for any c: with the row's maximum for c no exponent is above "
        "0.",
        "keepdims=True keeps (..., 1), so that it broadcasts. A row of only -inf: its maximum is "
        "-inf, and -inf - -inf is nan; take 0 for c there, and 1 for a sum of 0.",
    ),
    call=_scores,
    holds=(
        Holds("each row sums to 1 (to 0 where all of it is -inf)", _rows_sum_to_one),
        Holds("adding 2 to every score changes nothing", _shift_changes_nothing),
    ),
    gradient=lambda draw: (_op("softmax"), [draw.array((2, 4))]),
    joins=classifier_losses, joined=CLASSIFIER, forbids=("softmax",), inputs=120,
    mistakes=SOFTMAX_MISTAKES,
)


def _op(name: str) -> Any:
    def call(*tensors: Any) -> Any:
        from minigrad import ops

        return getattr(ops, name)(*tensors)

    return call


def _softmax_of(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return (e / e.sum(axis=-1, keepdims=True)).astype(x.dtype)


def _distribution(draw: Draw) -> tuple[Any, ...]:
    shape, dtype = draw.shape(1, 3), draw.dtype()
    return draw.array(shape, dtype), _softmax_of(draw.array(shape, dtype))


SOFTMAX_GRADIENT = Exercise(
    name="softmax-gradient", title="The gradient of softmax", kind="write",
    target="kernels.numpy_ref.softmax:softmax_backward", chapter="softmax.md", minutes=25,
    after=("softmax", "slopes"),
    hints=(
        "Every output depends on every score of its row: dy_i/dx_j = y_i ([i = j] - y_j).",
        "Sum that over i with weights dy_i: what does not depend on j is one number for each row.",
        "dx = y (dy - row), where row is the sum of dy y over the last axis, kept as (..., 1).",
    ),
    call=_distribution,
    holds=(
        Holds("each row of dx sums to 0, for a shift of all scores changes nothing",
              lambda f, dy, y: bool(np.allclose(f(dy, y).sum(axis=-1), 0, atol=1e-5))),
        Holds("a dy that is the same everywhere gives 0",
              lambda f, dy, y: bool(np.allclose(f(np.ones_like(dy), y), 0, atol=1e-5))),
    ),
    gradient=lambda draw: (_op("softmax"), [draw.array((2, 4))]),
    joins=classifier_losses, joined=CLASSIFIER,
    mistakes=(
        mistake("only the diagonal of the Jacobian is used",
                "y_i (1 - y_i) is dy_i/dx_i; the other outputs of the row change with x_i as well.",
                "y * (dy - row)", "y * (1 - y) * dy"),
        mistake("the sum runs over the first axis",
                "The scores that compete stand in one row: the sum is over the last axis.",
                "sum(axis=-1, keepdims=True)", "sum(axis=0, keepdims=True)"),
        mistake("the mean is taken, not the sum",
                "sum_i dy_i y_i: y weighs already, nothing more is divided.",
                "(dy * y).sum(", "(dy * y).mean("),
        mistake("the factor y is missing",
                "dy - row is the gradient of log softmax, nearly; of softmax it is y times that.",
                "return y * (dy - row)", "return dy - row"),
        mistake("the sign is turned round",
                "The loss grows with x_j if dy_j is above the row's average: dy - row.",
                "(dy - row)", "(row - dy)"),
        mistake("the sum forgets y",
                "What is subtracted is the average of dy weighed by y.",
                "(dy * y).sum", "dy.sum"),
        mistake("the sum has lost its axis",
                "keepdims=True leaves (..., 1), which broadcasts over the row.",
                "sum(axis=-1, keepdims=True)", "sum(axis=-1)"),
        mistake("y stands in the place of dy",
                "dy (y - row) is another thing: y (dy - row).",
                "y * (dy - row)", "dy * (y - row)"),
    ),
)

SOFTMAX_HUNT = Exercise(
    name="softmax-hunt", title="A test for softmax", kind="hunt",
    target="kernels.numpy_ref.softmax:softmax_forward", chapter="softmax.md", minutes=20,
    after=("softmax",),
    hints=(
        "What must hold of every result? Rows sum to 1; a shift changes nothing; more score, more "
        "probability.",
        "Which inputs are hard? 1000; -inf; two rows far apart; a row of only -inf; an array that "
        "is not square.",
        "Compare with np.allclose: another order of sums is no mistake. One value that you worked "
        "out by hand tells e from 2.",
    ),
    begins="    y = softmax_forward(np.array([[1.0, 2.0, 3.0]]))\n    assert y.shape == (1, 3)\n",
    mistakes=SOFTMAX_MISTAKES,
    equals=(
        mistake("written with a product", "One division a row; rounding differs in the last digit.",
                "e / np.where(total == 0, 1, total)", "e * (1 / np.where(total == 0, 1, total))"),
        mistake("shifted by more than the maximum", "Any shift that keeps e^x small is good.",
                "np.where(np.isneginf(peak), 0, peak)", "np.where(np.isneginf(peak), 0, peak + 1)"),
        mistake("by way of logarithms", "e^(x - m - log sum) is the same.",
                "return e / np.where(total == 0, 1, total)",
                "return np.where(total == 0, 0, np.exp(np.log(e) - np.log(total)))"),
    ),
)


def _summed(draw: Draw) -> tuple[Any, ...]:
    x = draw.array(draw.shape(1, 3), draw.dtype(), SCORES if draw.flag() else NUMBERS)
    if draw.integer(0, 3) == 3:
        x = np.full_like(x, -np.inf)
    axis, keepdims = draw.choice((None, -1, 0)), draw.flag()
    return (x, axis, keepdims) if keepdims or axis is not None else (x,)


LOGSUMEXP = Exercise(
    name="logsumexp", title="The log of a sum of exponentials", kind="write",
    target="minigrad.ops.reductions:logsumexp", chapter="softmax.md", minutes=25,
    after=("softmax", "mean"),
    hints=(
        "log sum e^x = m + log sum e^(x - m): what was taken from the exponents comes back outside "
        "of the logarithm.",
        "Its gradient is softmax: e^(x - y), which sums to 1.",
        "Where all is -inf the maximum is -inf: shift by 0 there; and in backward take 0 for y, or "
        "-inf - -inf is nan.",
    ),
    call=_summed, run=through, shown="{f}(tensor({0}, requires_grad=True), {rest})",
    gradient=lambda draw: (_op("logsumexp"), [draw.array((2, 4))]),
    joins=classifier_losses, joined=CLASSIFIER, forbids=("logaddexp",), inputs=120,
    mistakes=(
        mistake("nothing is subtracted before exp",
                "e^1000 is inf. Take the maximum off first.",
                "shift = np.where(np.isfinite(top), top, u.dtype.type(0))",
                "shift = np.zeros_like(top)"),
        mistake("the maximum does not come back",
                "log sum e^(x - m) is m too small.",
                ".sum(axis=axes, keepdims=True)) + shift", ".sum(axis=axes, keepdims=True))"),
        mistake("a row of only -inf becomes nan",
                "-inf - -inf is nan; shift by 0 where the maximum is not finite.",
                "np.where(np.isfinite(top), top, u.dtype.type(0))", "top"),
        mistake("the gradient is e^x",
                "It is e^(x - y): softmax, which sums to 1.",
                "np.exp(u - kept_y),)", "np.exp(u),)"),
        mistake("the gradient is that of a sum",
                "Each element counts by its share of the exponentials, not equally.",
                "np.exp(u - kept_y),)", "np.ones_like(u),)"),
        mistake("the gradient of a row of only -inf is nan",
                "x - y is -inf - -inf there; take 0 for y, and e^-inf is 0.",
                "np.exp(u - kept_y)", "np.exp(u - y)"),
        mistake("it is the log of the mean",
                "log sum, not log mean: log n is missing.",
                "np.exp(u - shift).sum(", "np.exp(u - shift).mean("),
        mistake("keepdims is always on",
                "Without keepdims the axis is gone from the result.",
                "y if keepdims else y.reshape(_without(u.shape, axes))", "y"),
        mistake("dy is not put back where the axis was",
                "dy.reshape(kept) has length 1 there and broadcasts the right way.",
                "dy.reshape(kept) * np.exp", "dy * np.exp"),
    ),
)


def _row_losses(draw: Draw) -> tuple[Any, ...]:
    rows, vocabulary = draw.integer(1, 4), draw.integer(2, 5)
    numbers = (*NUMBERS, 1000.0, -1000.0) if draw.flag() else NUMBERS
    logits, targets = draw.array((rows, vocabulary), draw.dtype(), numbers), draw.ids(
        (rows,), vocabulary)
    smoothing, ignore = draw.choice((0.0, 0.1, 0.3)), draw.choice((None, -1))
    if ignore is not None:
        targets = np.where(draw.ids((rows,), 3) == 2, -1, targets)
    return logits, targets, smoothing, ignore


def _cross_entropy_check(draw: Draw) -> Any:
    targets, smoothing = draw.ids((3,), 4), draw.choice((0.1, 0.0))

    def loss(x: Any) -> Any:
        from minigrad import ops

        return ops.cross_entropy(x, targets, smoothing)

    return loss, [draw.array((3, 4))]


CROSS_ENTROPY = Exercise(
    name="cross-entropy", title="Nats for the token that came", kind="write",
    target="kernels.numpy_ref.cross_entropy:row_losses", chapter="softmax.md", minutes=25,
    after=("logsumexp",),
    hints=(
        "-log softmax(x)_target = lse - x_target, with lse the log of the row's sum of "
        "exponentials.",
        "Find lse with the row's maximum taken off and added back. logits[rows, chosen] picks one "
        "number of each row.",
        "With smoothing a the target gets 1 - a, and a is spread over the whole row: "
        "lse - (1 - a) x_target - a mean(x). _counted says which rows count.",
    ),
    call=_row_losses,
    holds=(
        Holds("a loss is never negative",
              lambda f, x, t, *rest: bool((f(x, t, *rest)[1] >= -1e-4).all())),
    ),
    gradient=_cross_entropy_check, joins=gpt_losses(), joined=GPT, inputs=100,
    mistakes=(
        mistake("the maximum is not subtracted",
                "e^1000 is inf, and so is the loss.",
                "np.log(np.exp(logits - peak[:, None]).sum(axis=-1)) + peak",
                "np.log(np.exp(logits).sum(axis=-1))"),
        mistake("the maximum does not come back",
                "lse = max + log sum e^(x - max).",
                ".sum(axis=-1)) + peak", ".sum(axis=-1))"),
        mistake("the sign is turned round",
                "log softmax is below 0; the loss is minus it.",
                "lse[rows] - (1 - label_smoothing) * logits[rows, chosen]",
                "(1 - label_smoothing) * logits[rows, chosen] - lse[rows]"),
        mistake("smoothing sums over the row where it should average",
                "a is spread over V tokens: a / V each.",
                "logits[rows].mean(axis=-1)", "logits[rows].sum(axis=-1)"),
        mistake("smoothing averages over all rows",
                "Each row has its own average.",
                "logits[rows].mean(axis=-1)", "logits[rows].mean()"),
        mistake("smoothing is not taken from the target",
                "The target keeps 1 - a; all shares together make 1.",
                "(1 - label_smoothing) * logits[rows, chosen]", "logits[rows, chosen]"),
        mistake("rows that are to be ignored count",
                "A target of ignore_index has no loss: it is not even a row of the result.",
                "_counted(targets, ignore_index)", "_counted(targets, None)"),
        mistake("lse is returned for the counted rows only",
                "Backward needs it for every row.",
                "return rows, losses, lse", "return rows, losses, lse[rows]"),
        mistake("the target's probability is taken without its logarithm",
                "The loss is a logarithm: how surprised, in nats.",
                "losses = lse[rows] - (1 - label_smoothing) * logits[rows, chosen]",
                "losses = 1 - np.exp((1 - label_smoothing) * logits[rows, chosen] - lse[rows])"),
    ),
)


def _loss_gradient(draw: Draw) -> tuple[Any, ...]:
    logits, targets, smoothing, ignore = _row_losses(draw)
    logits = np.clip(logits, -20, 20)
    lse = np.log(np.exp(logits).sum(axis=-1)).astype(logits.dtype)
    dloss = np.asarray(draw.choice((1.0, 2.0, -0.5)), logits.dtype)
    return dloss, logits, targets, lse, smoothing, ignore


CROSS_ENTROPY_GRADIENT = Exercise(
    name="cross-entropy-gradient", title="Softmax less what came", kind="write",
    target="kernels.numpy_ref.cross_entropy:cross_entropy_backward", chapter="softmax.md",
    minutes=25, after=("cross-entropy", "softmax-gradient"),
    hints=(
        "lse's gradient is softmax, and that of -x_target is -1 at the target: p - t.",
        "exp(logits - lse[:, None]) is softmax. The target distribution t is (1 - a) at the target "
        "and a / V everywhere.",
        "The loss is a mean over the rows that count: divide by their number, multiply by dloss. "
        "Ignored rows get 0.",
    ),
    call=_loss_gradient,
    holds=(
        Holds("each row sums to 0",
              lambda f, *a: bool(np.allclose(f(*a).sum(axis=-1), 0, atol=1e-4))),
    ),
    gradient=_cross_entropy_check, joins=gpt_losses(), joined=GPT, inputs=100,
    mistakes=(
        mistake("the target is not subtracted",
                "Softmax alone pushes every token down; what came must be pushed up.",
                "    dlogits[rows, chosen] -= 1 - label_smoothing\n", ""),
        mistake("it is not divided by the number of rows",
                "The loss is a mean, so each row's share is 1 / n.",
                "dloss / max(len(rows), 1)", "dloss"),
        mistake("it is divided by all rows, ignored ones too",
                "The mean is over the rows that count.",
                "max(len(rows), 1)", "max(len(targets), 1)"),
        mistake("the smoothing of the other tokens is missing",
                "Every token of the row is wanted with a / V.",
                " - logits.dtype.type(label_smoothing / logits.shape[1])", ""),
        mistake("ignored rows get a gradient",
                "A row without a target teaches nothing: 0.",
                "dlogits[targets == ignore_index] = 0", "pass"),
        mistake("dloss is ignored",
                "Backward is handed dLoss/dloss, which is not always 1 (accumulation, weights).",
                "np.asarray(dloss / max", "np.asarray(1 / max"),
        mistake("lse is not taken off",
                "e^(x - lse) is softmax; e^x is not.",
                "np.exp(logits - lse[:, None])", "np.exp(logits)"),
        mistake("1 is subtracted in spite of smoothing",
                "With smoothing a the target is wanted with 1 - a (and a / V).",
                "-= 1 - label_smoothing", "-= 1"),
        mistake("the sign is turned round",
                "Going down the gradient must raise the target's score: its gradient is negative.",
                "return dlogits *", "return -dlogits *"),
    ),
)

LOSSES = Exercise(
    name="losses", title="What a loss is worth, beforehand", kind="predict", target="",
    chapter="softmax.md", minutes=10, after=("cross-entropy",),
    hints=(
        "Natural logarithms: a nat is log base e.",
        "A loss of L nats is as unsure as a choice among e^L tokens that are all alike.",
        "A mean of means is right only if each stands for equally many tokens.",
    ),
    questions=(
        Question("a", "A model that knows nothing gives each of 65 tokens the same probability. "
                      "Its "
                 "loss, in nats a token?",
                 lambda: math.log(65),
                 ((math.log2(65), "Those are bits. Nats are natural logarithms."),
                  (65, "That is among how many it chooses; the loss is the logarithm."),
                  (1 / 65, "That is the probability; the loss is -log of it."))),
        Question("b", "A loss of 1.386 nats: as unsure as among how many tokens?",
                 lambda: math.exp(1.386),
                 ((1.386, "e to that power."), (2.0 ** 1.386, "Nats go with e, bits with 2."))),
        Question("c", "Logits [2, 0, 0], and the first token came. The loss?",
                 lambda: math.log(math.exp(2) + 2) - 2,
                 ((2.0, "That is the logit; the loss is log(sum of e^x) - 2."),
                  (math.exp(2) / (math.exp(2) + 2), "That is the probability of what came."))),
        Question("d", "A batch of 30 tokens has a mean loss of 2.0, another of 10 tokens 4.0. The "
                 "mean loss of all tokens?",
                 lambda: (30 * 2.0 + 10 * 4.0) / 40,
                 ((3.0, "Each batch counts by its tokens: 30 to 10."),)),
        Question("e", "Four tokens, all logits 0, the first came. The gradient of the four "
                      "logits, as "
                 "a list?",
                 lambda: [-0.75, 0.25, 0.25, 0.25],
                 (([0.25, 0.25, 0.25, 0.25], "That is softmax; the target takes 1 off the first."),
                  ([0.75, -0.25, -0.25, -0.25], "Softmax less target, not the other way round."))),
    ),
)

EXERCISES = (
    SOFTMAX, SOFTMAX_GRADIENT, SOFTMAX_HUNT, LOGSUMEXP, CROSS_ENTROPY, CROSS_ENTROPY_GRADIENT,
    LOSSES,
)
