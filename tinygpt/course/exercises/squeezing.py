"""Compression: which weights go, how the others make up for it, and where fine marks matter."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygpt.course.draw import Draw
from tinygpt.course.exercise import Exercise, Question, mistake

PRUNING = "tinygpt.compression.pruning"
SWEEP = "tinygpt.compression.second_order"
CHAPTER = "compression.md"


def _read(draw: Draw, width: int) -> np.ndarray:
    """Vectors that were read, (12, width), from a seed; sometimes one input is always 0."""
    rng = np.random.default_rng(draw.integer(0, 99))
    x = rng.standard_normal((12, width)) * rng.choice([0.3, 1.0, 3.0], width)
    if draw.integer(0, 4) == 4:
        x[:, draw.integer(0, width - 1)] = 0
    return x.round(2)


def _inputs(x: np.ndarray) -> Any:
    from tinygpt.compression.calibration import Inputs

    inputs = Inputs(x.shape[1])
    inputs.add(x)
    return inputs


SHARES = (0.5, 0.0, 1.0, 0.3, 0.1 + 0.7)


def _worth(draw: Draw) -> tuple[Any, ...]:
    shape = draw.integer(1, 3), draw.choice((4, 8, 1, 5, 10, 6))
    score = np.abs(draw.array(shape))
    return score, draw.choice(SHARES), draw.choice((None, 4, 2, 5))


SMALLEST_MISTAKES = (
    mistake("groups are ignored",
            "Two of every four is a half of each four, not of the row.",
            "size = group or score.shape[1]", "size = score.shape[1]"),
    mistake("the share is rounded up", "Down to whole weights: never more than asked for.",
            "int(share * part.shape[1] + 1e-9)", "int(np.ceil(share * part.shape[1] - 1e-9))"),
    mistake("the share is rounded to the nearest", "Down to whole weights.",
            "int(share * part.shape[1] + 1e-9)", "int(share * part.shape[1] + 0.5)"),
    mistake("0.8 of 5 is 3", "0.1 + 0.7 is a little below 0.8 in floats: allow for that.",
            "int(share * part.shape[1] + 1e-9)", "int(share * part.shape[1])"),
    mistake("the largest go", "What is worth least goes.",
            "np.argsort(part,", "np.argsort(-part,"),
    mistake("what stays is marked", "True is for what goes.",
            "return gone", "return ~gone"),
    mistake("of equals the last goes", "The first: a stable order, from the left.",
            'np.argsort(part, axis=1, kind="stable")[:, :count]',
            'part.shape[1] - 1 - np.argsort(part[:, ::-1], axis=1, kind="stable")[:, :count]'),
    mistake("a shorter last group is left alone", "It is a group like the others.",
            "range(0, score.shape[1], size)", "range(0, score.shape[1] - size + 1, size)"),
)

SMALLEST = Exercise(
    name="smallest", title="Two of every four", kind="write", target=f"{PRUNING}:smallest",
    chapter=CHAPTER, minutes=25,
    hints=(
        "Go through the row in steps of the group's size; the last piece may be shorter.",
        "np.argsort(part, axis=1, kind='stable') puts the least first, of equals the first.",
        "np.put_along_axis marks what those indices name, in a piece of the result.",
    ),
    call=_worth, inputs=200, mistakes=SMALLEST_MISTAKES,
)

SMALLEST_HUNT = Exercise(
    name="smallest-hunt", title="A test for what goes", kind="hunt", target=f"{PRUNING}:smallest",
    chapter=CHAPTER, minutes=20, after=("smallest",),
    hints=(
        "Rows whose weights to go you can point at; several rows; a group that does not divide "
        "them.",
        "Shares that give no whole number, and one like 0.1 + 0.7 that should.",
        "Equal scores: which of them goes?",
    ),
    begins="    gone = smallest(np.array([[1.0, 2.0]]), 0.5)\n    assert gone[0, 0]\n",
    mistakes=SMALLEST_MISTAKES,
    equals=(
        mistake("with the row for a group asked for by None", "The same.",
                "group or score.shape[1]", "score.shape[1] if group is None else group"),
        mistake("with floor", "Rounded down.",
                "int(share * part.shape[1] + 1e-9)", "int(np.floor(share * part.shape[1] + 1e-9))"),
        mistake("with another stable sort", "Mergesort is stable.",
                'kind="stable"', 'kind="mergesort"'),
    ),
)


def _matrix(draw: Draw) -> tuple[Any, ...]:
    """weight, what it reads, share, group."""
    width = draw.choice((4, 8, 2))
    numbers = (1.0, -1.0, 0.5, -0.25, 2.0, -3.0, 0.75, -1.5)
    weight = draw.array((draw.integer(1, 3), width), np.float32, numbers)
    return weight, _read(draw, width), draw.choice((0.5, 0.25, 0.75)), draw.choice((None, 4, 2))


WANDA = Exercise(
    name="wanda", title="A weight matters by what it reads", kind="write",
    target=f"{PRUNING}:wanda", chapter=CHAPTER, minutes=10, after=("smallest",),
    about="inputs.norms: (K,), the length of each input over the text. smallest(score, share, "
    "group) marks what goes.",
    hints=(
        "The score of a weight is its size times the length of what it reads.",
        "Column k reads input k: norms broadcast along the rows.",
        "np.where: 0 where it goes, else the weight as it was.",
    ),
    call=_matrix, inputs=120, run=lambda f, w, x, *rest: f(w, _inputs(x), *rest),
    shown="{f}({0}, inputs, ...)",
    mistakes=(
        mistake("what it reads does not matter", "That is magnitude pruning: times the norms.",
                "np.abs(weight) * inputs.norms", "np.abs(weight)"),
        mistake("the sign counts", "A weight of -3 is large.",
                "np.abs(weight) * inputs.norms", "weight * inputs.norms"),
        mistake("it is divided by what it reads", "Large inputs make a weight matter more.",
                "* inputs.norms", "/ np.maximum(inputs.norms, 1e-12)"),
        mistake("the norms are squared", "|w| |x|: both once. Squared, w must be squared too.",
                "inputs.norms", "inputs.norms ** 2"),
        mistake("the mean size is taken for the length",
                "The root of the sum of squares: large ones count more.",
                "inputs.norms", "inputs.size"),
        mistake("groups are ignored", "The group is handed on.",
                "share, group)", "share)"),
        mistake("what goes is kept", "0 where it goes.",
                ", 0, weight)", ", weight, 0)"),
    ),
)


def _swept(draw: Draw) -> tuple[Any, ...]:
    """weight, what it reads, columns in a block."""
    width = draw.integer(1, 6)
    weight = draw.array((draw.integer(1, 3), width), np.float32)
    return weight, _read(draw, width), draw.integer(1, 4)


def _sweep(f: Any, weight: np.ndarray, x: np.ndarray, block: int) -> Any:
    """Columns become something smooth of what they are by then, of their block and of U_jj."""

    def look(values: np.ndarray, roots: np.ndarray) -> Any:
        seen = values.sum(axis=1)
        return lambda j, column: 0.5 * column + 0.1 * seen + 0.2 * roots[j] + 0.3 * j

    return f(weight, x.T @ x, look, block)


def _compressed() -> Any:
    """What GPTQ and SparseGPT lose on a small matrix."""
    from minigrad.nn.quantized import dequantize
    from tinygpt.compression.pruning import sparsegpt
    from tinygpt.compression.rounding import gptq
    from tinygpt.compression.second_order import damage

    rng = np.random.default_rng(0)
    weight = rng.standard_normal((8, 40)).astype(np.float32)
    inputs = _inputs(rng.standard_normal((99, 40)) @ rng.standard_normal((40, 40)))
    made = dequantize(gptq(weight, inputs.second)), sparsegpt(weight, inputs, 0.5, 4)
    return [damage(one.astype(np.float64) - weight, inputs.second) for one in made]


SOLVE = Exercise(
    name="make-up", title="Let the others make up for it", kind="write", target=f"{SWEEP}:solve",
    chapter=CHAPTER, minutes=90, after=("wanda", "muon"), closeness=1e-6, forbids=("naive",),
    about="U is the upper Cholesky factor of the inverse of damped(second): H^-1 = U^T U. look("
    "values of the next `block` columns by now, their U_jj) gives a function of (number in the "
    "block, column by now) that says what the column becomes. Then the columns behind it move by "
    "-(w_j - q) / U_jj U_j,j+1:.",
    hints=(
        "np.linalg.cholesky gives the lower factor L, with L L^T; U is its transpose.",
        "Column after column from the left: q = fix(j % block, w_j), the error (w_j - q) / U_jj, "
        "and an outer product with the rest of U's row j for all columns behind.",
        "It may all be done at once for all columns behind; or, faster, within a block first, and "
        "for those behind the block as one product of the block's errors.",
    ),
    call=_swept, run=_sweep, shown="{f}({0}, (x := {1}).T @ x, look, {2})", inputs=60,
    joins=_compressed, joined="GPTQ and SparseGPT of a matrix",
    mistakes=(
        mistake("the error is not divided by U_jj",
                "The row of U is scaled so that column j itself moves by exactly the error.",
                "(here[:, j] - column) / factor[j, j]", "here[:, j] - column"),
        mistake("the lower factor is taken",
                "Its row j points to the columns before j, which are fixed.",
                "np.linalg.cholesky(np.linalg.inv(damped(second))).T",
                "np.linalg.cholesky(np.linalg.inv(damped(second)))"),
        mistake("columns of later blocks do not move",
                "All columns behind make up, in whichever block.",
                "        made[:, stop:] -= errors @ upper[start:stop, stop:]\n", ""),
        mistake("columns of the same block do not move",
                "The next column is the first that makes up.",
                "            here[:, j + 1 :] -= np.outer(errors[:, j], factor[j, j + 1 :])\n", ""),
        mistake("it is the factor of H, not of its inverse",
                "How the others make up stands in the inverse.",
                "np.linalg.inv(damped(second))", "damped(second)"),
        mistake("a block is looked at as it was before",
                "By then the columns before have moved it.",
                "look(here.copy()", "look(weight[:, start:stop].astype(np.float64)"),
        mistake("the others move the wrong way",
                "Against the error, or it doubles.",
                "here[:, j + 1 :] -= np.outer", "here[:, j + 1 :] += np.outer",
                "made[:, stop:] -= errors", "made[:, stop:] += errors"),
        mistake("H is not damped",
                "With little text, or an input that is always 0, it has no inverse.",
                "damped(second)", "second"),
    ),
)


def _wide() -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((32, 96)).astype(np.float32), rng.standard_normal((200, 96)), 16


SOLVE_FASTER = Exercise(
    name="make-up-faster", title="K^2 operations a column are too many", kind="faster",
    target=f"{SWEEP}:naive", chapter=CHAPTER, minutes=45, after=("make-up",), closeness=1e-6,
    forbids=("solve",), goal=2.0, work=_wide,
    hints=(
        "The rows that elimination passes through, each divided by the root of its first entry, "
        "are those of the upper Cholesky factor of H^-1. All of them can be had at once.",
        "Then no inverse has to be kept up to date: one outer product a column is left.",
        "Within a block only the block's columns must be right at once. What a block does to all "
        "behind it is one matrix product.",
    ),
    call=_swept, run=_sweep, shown="{f}({0}, (x := {1}).T @ x, look, {2})", inputs=60,
    mistakes=(
        mistake("nothing makes up", "The columns behind move.",
                "made[:, j:] -= np.outer((made[:, j] - column) / inverse[0, 0], inverse[0])",
                "made[:, j] = column"),
        mistake("what is fixed stays in the inverse",
                "The inverse is of the columns that are still free.",
                "inverse = inverse[1:, 1:] - np.outer(inverse[1:, 0], inverse[0, 1:]) / "
                "inverse[0, 0]",
                "inverse = inverse[1:, 1:]"),
        mistake("a block is looked at as it was before",
                "By then the columns before have moved it.",
                "look(made[:, j : j + block].copy()",
                "look(weight[:, j : j + block].astype(np.float64)"),
        mistake("only the first block is looked at", "Every block when it is reached.",
                "if j % block == 0:", "if j == 0:"),
        mistake("the others move the wrong way", "Against the error, or it doubles.",
                "made[:, j:] -= np.outer", "made[:, j:] += np.outer"),
        mistake("the lower factor's roots are looked at",
                "The upper one's, of H^-1.",
                "np.linalg.cholesky(inverse).T", "np.linalg.cholesky(damped(second))"),
    ),
)


def _scaled(draw: Draw) -> tuple[Any, ...]:
    """Seeds of the weights of one or two matrices; what they read; exponents."""
    width = draw.choice((4, 8, 2, 1))
    seeds = [draw.integer(0, 99) for _ in range(draw.integer(1, 2))]
    exponents = draw.choice(((0.0, 0.5), (0.25, 0.75, 0.5), (0.75, 0.0), ()))
    return seeds, _read(draw, width), exponents


def _awq(f: Any, seeds: list[int], x: np.ndarray, exponents: tuple[float, ...]) -> Any:
    weights = [
        np.random.default_rng(seed).standard_normal((5, x.shape[1])).astype(np.float32)
        for seed in seeds
    ]
    found = f(weights, _inputs(x), exponents)
    return {name: getattr(found, name) for name in ("exponent", "factor", "damage")}


AWQ = Exercise(
    name="awq-scale", title="Finer marks where much is read", kind="write",
    target="tinygpt.compression.rounding:awq_scale", chapter=CHAPTER, minutes=30, after=("wanda",),
    about="inputs.size: (K,), the mean of |x_k|; a size of 0 counts as 1e-6 of the largest. "
    "factor: float32. _cost(weight, factor, inputs.second) is what rounding then costs. Returns "
    "Scaled(exponent, factor, damage) of the exponent that costs least, of equals the first; "
    "ValueError without any.",
    hints=(
        "For each exponent a: size ** a, divided by the root of its largest times its smallest, so "
        "that factors lie around 1.",
        "The cost is the sum over all matrices that read the same input.",
        "Keep the best by now; replace it only by one that is really better.",
    ),
    call=_scaled, run=_awq, shown="{f}(matrices of seeds {0}, inputs, {2})", inputs=50,
    closeness=1e-5,
    mistakes=(
        mistake("the factors are not centred",
                "Scales are kept in few bits: around 1, by the root of largest times smallest.",
                "(factor / np.sqrt(factor.max() * factor.min()))", "factor"),
        mistake("the largest factor is 1", "Around 1: the root of largest times smallest.",
                "np.sqrt(factor.max() * factor.min())", "factor.max()"),
        mistake("large inputs get coarse marks",
                "A weight that is scaled up is rounded finely: size to the power of +a.",
                "size**a", "size**-a"),
        mistake("lengths are taken for mean sizes", "inputs.size, the mean of |x|.",
                "np.maximum(inputs.size, 1e-6 * max(1e-12, float(inputs.size.max())))",
                "np.maximum(inputs.norms, 1e-6 * max(1e-12, float(inputs.norms.max())))"),
        mistake("only the first matrix is asked",
                "All that read this input are scaled alike.",
                "for weight in weights)", "for weight in weights[:1])"),
        mistake("the last exponent is taken", "The one that costs least.",
                "if best is None or cost < best.damage:", "if True:"),
        mistake("the one that costs most is taken", "The least.",
                "cost < best.damage", "cost > best.damage"),
        mistake("an input that is always 0 gets no factor",
                "0 to any power divides by 0 later.",
                "np.maximum(inputs.size, 1e-6 * max(1e-12, float(inputs.size.max())))",
                "inputs.size"),
    ),
)

SQUEEZED = Exercise(
    name="squeezed", title="What is left, beforehand", kind="predict", target="", chapter=CHAPTER,
    minutes=10, after=("int8", "wanda", "make-up"),
    hints=(
        "Damage is tr(E H E^T): squares of changes, weighed by squares of inputs.",
        "Column j becomes q; those behind move by -(w_j - q) / F_jj times the row of F, F = H^-1.",
        "Of four, choose the two that go: how many ways?",
    ),
    questions=(
        Question("a", "A row of 8 weights, 2:4. How many patterns of zeros can it have?",
                 lambda: 6 * 6,
                 ((70, "That is any half of 8; here two of each four go."),
                  (12, "Both fours are free: the ways are multiplied."))),
        Question("b", "H = diag(4, 9), and the second weight moves by 0.1. The damage?",
                 lambda: 0.09,
                 ((0.9, "The change is squared too."), (0.3, "That is its root."),
                  (0.04, "That is the first weight's."))),
        Question("c", "Weights [0.5, 0.2] read inputs of lengths [32, 310]. Which place (0 or 1) "
                 "does Wanda set to 0?", lambda: 0,
                 ((1, "0.5 x 32 = 16 is worth less than 0.2 x 310 = 62."),)),
        Question("d", "W = [1, 1], the inverse of H is [[2, -1], [-1, 1]], and the first weight "
                 "becomes 0. What does the second become?", lambda: 1.5,
                 ((0.5, "They read the same: the second takes over."),
                  (2.0, "Divided by F_00, which is 2."), (1.0, "It moves to make up."))),
        Question("e", "1,000,000 weights in 4 bits, in groups of 32 with a scale of 2 bytes each. "
                 "How many bytes?", lambda: 500_000 + 1_000_000 // 32 * 2,
                 ((500_000, "The scales take place too."), (4_000_000, "Four bits, not bytes."),
                  (500_000 + 1_000_000 // 32, "Two bytes a scale."))),
    ),
)

EXERCISES = (SMALLEST, SMALLEST_HUNT, WANDA, SOLVE, SOLVE_FASTER, AWQ, SQUEEZED)
