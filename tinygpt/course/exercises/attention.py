"""Attention: what a query sees, how it weighs it, and where tokens stand."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from tinygpt.course.draw import Draw
from tinygpt.course.exercise import Exercise, Holds, mistake
from tinygpt.course.exercises.work import gpt_losses

GPT = "20 steps of a small GPT"
MODULE = "kernels.numpy_ref.attention"
SIGHT = (
    "q: (B, Tq, H, D); k: (B, Tk, Hkv, D), Hkv dividing H: query head h reads key head h // (H / "
    "Hkv), as _repeated lays them. scale: None means 1 / sqrt(D). causal: query i sees the keys j "
    "<= "
    "i + Tk - Tq. first, last: (B, Tq) or None: it sees first <= j < last. bias: (H, Tq + Tk - 1) "
    "or "
    "None, added at the places that _distances(Tq, Tk) gives."
)


def _turns(positions: int, pairs: int, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    angles = np.arange(positions)[:, None] * np.array([1.0, 0.3])[:pairs]
    return np.cos(angles).astype(dtype), np.sin(angles).astype(dtype)


def _ids(draw: Draw) -> tuple[Any, ...]:
    size, rows = draw.integer(1, 5), draw.shape(1, 2, 4)
    ids = draw.ids(rows, size)
    return draw.array((*rows, draw.integer(1, 3)), draw.dtype()), ids, size


def _embedding_check(draw: Draw) -> Any:
    from minigrad import ops

    ids = draw.ids((6,), 3)
    return lambda weight: ops.embedding(weight, ids), [draw.array((3, 2))]


EMBEDDING_MISTAKES = (
    mistake("an id that comes twice counts once",
            "dweight[ids] += dy reads, adds and writes each place once, whatever came twice. "
            "np.add.at adds every row.",
            "np.add.at(dweight, ids.reshape(-1), dy.reshape(R, C))",
            "dweight[ids.reshape(-1)] += dy.reshape(R, C)"),
    mistake("the table is as long as the largest id",
            "Its length is num_embeddings: ids that did not come have a gradient of 0.",
            "np.zeros((num_embeddings, C)", "np.zeros((int(ids.max(initial=0)) + 1, C)"),
    mistake("the gradient is float64",
            "np.zeros makes float64; the gradient has dy's dtype.",
            "dtype=dy.dtype", "dtype=np.float64"),
    mistake("the rows are averaged",
            "Every place that a row of the table was copied to adds its gradient.",
            "    return dweight\n",
            "    counts = np.bincount(ids.reshape(-1), minlength=num_embeddings)\n"
            "    return (dweight / np.maximum(counts, 1)[:, None]).astype(dy.dtype)\n"),
    mistake("the ids are sorted and the rows are not",
            "Row r of dy belongs to ids[r]: whoever sorts one must sort the other.",
            "np.add.at(dweight, ids.reshape(-1),", "np.add.at(dweight, np.sort(ids.reshape(-1)),"),
    mistake("it is off by one",
            "Ids count from 0.",
            "np.add.at(dweight, ids.reshape(-1),",
            "np.add.at(dweight, (ids.reshape(-1) + 1) % num_embeddings,"),
)

EMBEDDING_GRADIENT = Exercise(
    name="embedding-gradient", title="The gradient of a table", kind="write",
    target="kernels.numpy_ref.embedding:embedding_backward", chapter="positions.md", minutes=15,
    after=("unbroadcast",),
    hints=(
        "Forward copies row ids[r] of the table to row r. What was copied n times gets n "
        "gradients.",
        "Flatten: ids to (R,), dy to (R, C). Begin with zeros of (num_embeddings, C).",
        "dweight[ids] += dy does not add twice to one place; np.add.at does.",
    ),
    call=_ids,
    holds=(
        Holds("nothing is lost: both sums are the same",
              lambda f, dy, ids, n: bool(np.isclose(f(dy, ids, n).sum(), dy.sum(), atol=1e-4))),
    ),
    gradient=_embedding_check, joins=gpt_losses(), joined=GPT, inputs=80,
    mistakes=EMBEDDING_MISTAKES,
)


def _letters() -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((4096, 128), dtype=np.float32), rng.integers(0, 65, 4096), 65


EMBEDDING_FASTER = Exercise(
    name="embedding-faster", title="The gradient of a small table", kind="faster",
    target="kernels.numpy_ref.embedding:embedding_backward", chapter="memory.md", minutes=30,
    after=("embedding-gradient",), goal=1.5, work=_letters,
    hints=(
        "It is timed on 4,096 rows of 128 numbers for 65 letters: each letter comes some 63 times.",
        "Work on many rows at once: those of one letter are a sum over an axis; or sort by letter, "
        "and np.add.reduceat sums stretches.",
        "A matrix of zeros and ones, (65, 4096), times dy: a product of matrices does more "
        "arithmetic and is still faster.",
    ),
    call=_ids, forbids=("at",), inputs=80, closeness=1e-6,
    mistakes=EMBEDDING_MISTAKES,
)


def _turned(draw: Draw) -> tuple[Any, ...]:
    positions, pairs, dtype = draw.integer(1, 3), draw.integer(1, 2), draw.dtype()
    x = draw.array((*draw.shape(0, 1, 2), positions, 2 * pairs + draw.integer(0, 2)), dtype)
    cos, sin = _turns(positions, pairs, dtype)
    return x, cos, sin


def _lengths_stay(f: Any, x: Any, cos: Any, sin: Any) -> bool:
    return bool(np.allclose((f(x, cos, sin) ** 2).sum(-1), (x**2).sum(-1), atol=1e-3))


def _rope_check(draw: Draw) -> Any:
    from minigrad import ops

    turns = _turns(3, 2, np.float64)
    arrays = [draw.array((1, 3, 1, 4)) for _ in range(3)]
    return lambda q, k, v: ops.attention(q, k, v, rotary=turns), arrays


ROPE = Exercise(
    name="rope", title="Rotary positions", kind="write",
    target="kernels.numpy_ref.attention:rotate", chapter="positions.md", minutes=20,
    after=("product",),
    hints=(
        "A point (a, b) turned by an angle: (a cos - b sin, b cos + a sin).",
        "The pair of coordinate d is not d + 1 but d + R: the first R, the next R, and the rest.",
        "Join them again along the last axis; what lies beyond 2 R stays as it is.",
    ),
    call=_turned,
    holds=(
        Holds("a rotation changes no length", _lengths_stay),
        Holds("position 0 is not turned",
              lambda f, x, c, s: bool(np.allclose(f(x, c, s)[..., 0, :], x[..., 0, :]))),
    ),
    gradient=_rope_check, joins=gpt_losses(positions="rope"), joined=GPT + " with RoPE",
    mistakes=(
        mistake("the first half turns the other way",
                "(a cos - b sin): here it is plus, which is no rotation.",
                "a * cos - b * sin", "a * cos + b * sin"),
        mistake("the second half turns the other way",
                "(b cos + a sin): here it is minus, which is no rotation.",
                "b * cos + a * sin", "b * cos - a * sin"),
        mistake("everything turns backwards",
                "Both signs are exchanged: the angle is taken as negative.",
                "a * cos - b * sin, b * cos + a * sin", "a * cos + b * sin, b * cos - a * sin"),
        mistake("pairs are neighbours",
                "Here a pair's halves lie R apart, as in Hugging Face's files; neighbours are the "
                "paper's order, and a model trained with one cannot be read with the other.",
                "x[..., :R], x[..., R : 2 * R]", "x[..., : 2 * R : 2], x[..., 1 : 2 * R : 2]"),
        mistake("sine and cosine are exchanged",
                "At position 0 the angle is 0: cos is 1 and nothing moves.",
                "a * cos - b * sin, b * cos + a * sin", "a * sin - b * cos, b * sin + a * cos"),
        mistake("what lies beyond the pairs is lost",
                "Coordinates from 2 R on stay.",
                "b * cos + a * sin, rest]", "b * cos + a * sin]"),
        mistake("the second half is made of the turned first half",
                "Both new coordinates are made of both old ones.",
                "b * cos + a * sin", "b * cos + (a * cos - b * sin) * sin"),
        mistake("the halves come out exchanged",
                "First the new a, then the new b.",
                "a * cos - b * sin, b * cos + a * sin", "b * cos + a * sin, a * cos - b * sin"),
    ),
)


def _sight(draw: Draw) -> tuple[Any, ...]:
    """q, k, causal, scale, first, last, bias of scores."""
    dtype, B, Tq = draw.dtype(), draw.integer(1, 2), draw.integer(1, 3)
    Tk, (H, heads) = Tq + draw.integer(0, 2), draw.choice(((1, 1), (2, 2), (2, 1), (4, 2)))
    D = draw.integer(1, 4)
    q, k = draw.array((B, Tq, H, D), dtype), draw.array((B, Tk, heads, D), dtype)
    first = draw.ids((B, Tq), Tk + 1) if draw.flag() else None
    last = draw.ids((B, Tq), Tk + 1) if draw.flag() else None
    bias = draw.array((H, Tq + Tk - 1), dtype) if draw.flag() else None
    return q, k, draw.integer(0, 3) < 3, draw.choice((None, 0.5, 300.0)), first, last, bias


def _nobody_sees_the_future(f: Any, q: Any, k: Any, *rest: Any) -> bool:
    scores = f(q, k, True, *rest[1:])
    Tq, Tk = q.shape[1], k.shape[1]
    future = np.arange(Tk) > np.arange(Tq)[:, None] + Tk - Tq
    return bool(np.isneginf(scores[..., future]).all())


def _attention_check(draw: Draw) -> Any:
    from minigrad import ops

    arrays = [draw.array((1, 3, 2, 2)) / 2 for _ in range(3)]
    return lambda q, k, v: ops.attention(q, k, v), arrays


SCORES_MISTAKES = (
    mistake("scores are not scaled",
            "q . k of D numbers grows like sqrt(D), and softmax of large scores is all or nothing: "
            "divide by sqrt(D).",
            "_repeated(k, H).swapaxes(-1, -2) * factor", "_repeated(k, H).swapaxes(-1, -2)"),
    mistake("scores are divided by D, not by its root",
            "The spread of q . k grows with sqrt(D).",
            "1 / math.sqrt(D)", "1 / D"),
    mistake("the future is visible",
            "Trained so, a model reads the answer where it should guess it.",
            "if causal:", "if False:"),
    mistake("a query does not see itself",
            "Key j <= i is seen: its own is among them.",
            "keys <= np.arange(Tq)", "keys < np.arange(Tq)"),
    mistake("queries stand at the beginning of the keys",
            "With a cache the queries are the last of the positions: query i stands at i + Tk - "
            "Tq.",
            "np.arange(Tq)[:, None] + (Tk - Tq))", "np.arange(Tq)[:, None])"),
    mistake("a masked score is 0",
            "Softmax gives a score of 0 weight too: e^0 = 1. It takes -inf to give none.",
            "q.dtype.type(-np.inf)", "q.dtype.type(0)"),
    mistake("the past is masked, not the future",
            "The triangle is the wrong way round.",
            "keys <= np.arange(Tq)", "keys >= np.arange(Tq)"),
    mistake("key heads are dealt out in turns",
            "Query heads 0 and 1 share key head 0: each key head is repeated, not all of them.",
            "_repeated(k, H)", "np.tile(k.swapaxes(1, 2), (1, H // k.shape[2], 1, 1))"),
    mistake("the last key is seen too",
            "`last` is where sight ends: j < last.",
            "keys < last", "keys <= last"),
    mistake("the bias is left out",
            "It is added to the scores before the mask.",
            "scores = scores + bias[:, _distances(Tq, Tk)]", "pass"),
)

SCORES = Exercise(
    name="attention-scores", title="What a query sees", kind="write",
    target=f"{MODULE}:_scores", chapter="attention.md", minutes=30, after=("matmul-gradient",),
    about=SIGHT,
    hints=(
        "Scores (B, H, Tq, Tk) = q k^T / sqrt(D), head by head: bring the heads in front of the "
        "positions with swapaxes(1, 2); _repeated(k, H) does so for keys.",
        "A mask of truths, (Tq, Tk) or with a B in front: keys <= queries' positions, >= first, < "
        "last.",
        "np.where(visible, scores, -inf), the -inf in q's dtype.",
    ),
    call=_sight, holds=(Holds("with causal nobody sees the future", _nobody_sees_the_future),),
    gradient=_attention_check, joins=gpt_losses(), joined=GPT, inputs=120,
    mistakes=SCORES_MISTAKES,
)

SCORES_HUNT = Exercise(
    name="attention-hunt", title="A test for what a query sees", kind="hunt",
    target=f"{MODULE}:_scores", chapter="attention.md", minutes=30, after=("attention-scores",),
    about=SIGHT,
    hints=(
        "Take q and k of ones: then every score that is seen is sqrt(D), and you see the mask "
        "alone.",
        "More keys than queries; four query heads on two key heads; a `last` in the middle; a bias "
        "whose numbers all differ.",
        "D = 4 tells 1 / sqrt(D) from 1 / D and from nothing.",
    ),
    begins="    q = np.ones((1, 3, 1, 4))\n"
    "    scores = _scores(q, q, True, None, None, None, None)\n"
    "    assert scores.shape == (1, 1, 3, 3)\n",
    mistakes=SCORES_MISTAKES,
    equals=(
        mistake("with the scale on q", "It does not matter which of the two is scaled.",
                "q.swapaxes(1, 2) @ _repeated(k, H).swapaxes(-1, -2) * factor",
                "(q * factor).swapaxes(1, 2) @ _repeated(k, H).swapaxes(-1, -2)"),
        mistake("with positions counted from the end", "The same comparison, moved.",
                "keys <= np.arange(Tq)[:, None] + (Tk - Tq)",
                "keys - Tk < np.arange(Tq)[:, None] + 1 - Tq"),
    ),
)


def _weighed(draw: Draw) -> tuple[Any, ...]:
    q, k, *rest = _sight(draw)
    pairs = q.shape[-1] // 2
    rotary = _turns(k.shape[1], pairs, q.dtype) if pairs and draw.flag() else None
    return q, k, *rest, rotary


def _rows_sum(f: Any, *arguments: Any) -> bool:
    scores, p, _ = f(*arguments)
    seen = ~np.isneginf(scores).all(axis=-1)
    return bool(np.allclose(p.sum(axis=-1), seen, atol=1e-4))


WEIGHTS = Exercise(
    name="attention", title="Attention's weights", kind="write",
    target=f"{MODULE}:attention_weights", chapter="attention.md", minutes=25,
    after=("attention-scores", "softmax", "logsumexp"), about=SIGHT,
    hints=(
        "Turn q and k (turned), score them (_scores): both are there. What is left is a softmax.",
        "lse = log of the row's sum of exponentials, with the maximum added back; (B, H, Tq), so "
        "the last axis goes.",
        "A query that sees no key: its maximum is -inf. Shift by 0 there, divide by 1; its lse is "
        "-inf.",
    ),
    call=_weighed, holds=(Holds("each row sums to 1, to 0 if it sees nothing", _rows_sum),),
    gradient=_attention_check, joins=gpt_losses(), joined=GPT, inputs=120,
    mistakes=(
        mistake("the maximum is not subtracted",
                "e^1000 is inf, and inf / inf is nan.",
                "np.exp(scores - np.where(np.isneginf(peak), 0, peak))", "np.exp(scores)"),
        mistake("softmax runs over the queries",
                "A query deals out its attention among the keys: the last axis sums to 1.",
                "e.sum(axis=-1, keepdims=True)", "e.sum(axis=-2, keepdims=True)"),
        mistake("the maximum does not come back in lse",
                "lse = max + log sum e^(s - max).",
                "(np.log(total) + peak)[..., 0]", "np.log(total)[..., 0]"),
        mistake("a query that sees nothing gets nan",
                "-inf - -inf is nan. Shift by 0 where the maximum is -inf.",
                "np.where(np.isneginf(peak), 0, peak)", "peak"),
        mistake("0 / 0 for a query that sees nothing",
                "Its sum is 0: divide by 1.",
                "np.where(total == 0, 1, total)", "total"),
        mistake("nothing is divided by the sum",
                "Weights sum to 1.",
                "e / np.where(total == 0, 1, total)", "e"),
        mistake("q and k are not turned",
                "Where there are rotary tables, queries and keys are turned before they meet.",
                "q, k = turned(q, k, rotary)", "pass"),
        mistake("the bias is dropped",
                "All of causal, scale, first, last and bias decide the scores.",
                "first, last, bias)\n    peak", "first, last, None)\n    peak"),
        mistake("the mask comes after the softmax",
                "What is masked has taken its share of the sum by then: the rest sums to less "
                "than 1.",
                "scores = _scores(q, k, causal, scale, first, last, bias)",
                "masked = _scores(q, k, causal, scale, first, last, bias)\n"
                "    scores = _scores(q, k, False, scale, None, None, bias)",
                "return scores, e / np.where(total == 0, 1, total), lse",
                "p = np.where(np.isneginf(masked), 0, e / np.where(total == 0, 1, total))\n"
                "    return masked, p, lse"),
        mistake("nothing is masked",
                "causal, first and last say what a query sees.",
                "scores = _scores(q, k, causal, scale, first, last, bias)",
                "scores = _scores(q, k, False, scale, None, None, bias)"),
    ),
)


def _backward(draw: Draw) -> tuple[Any, ...]:
    """Arguments of attention_backward, y and lse from the house's forward."""
    q, k, causal, _, first, last, bias, rotary = _weighed(draw)
    v, scale = draw.array(k.shape, q.dtype), draw.choice((None, 0.5))
    forward = importlib.import_module(MODULE).attention_forward
    y, lse = forward(q, k, v, causal, scale, first, last, bias, rotary)
    out = tuple(np.zeros_like(a) for a in (q, k, v)) if draw.flag() else None
    wants = draw.flag()
    dy = draw.array(q.shape, q.dtype)
    return dy, q, k, v, y, lse, causal, scale, out, first, last, bias, rotary, wants


GRADIENT = Exercise(
    name="attention-gradient", title="The gradient of attention", kind="write",
    target=f"{MODULE}:attention_backward", chapter="attention.md", minutes=120,
    after=("attention", "softmax-gradient", "unbroadcast", "rope"),
    about="The contract of the arguments is attention_forward's, in the same file.",
    hints=(
        "p is not saved: it is e^(scores - lse), with the scores made again (turned, _scores). A "
        "row "
        "that sees nothing has lse -inf: take 0.",
        "The comments are the derivation, in order: dv, then ds from dp and the row's dy . y, "
        "then dq "
        "and dk with the scale.",
        "Heads that share a key add up (_sum_groups); q and k were turned, so dq and dk are turned "
        "back; a bias gets the sum over each diagonal (np.add.at at _distances), before the scale. "
        "Fill `out` if it is given, and return it.",
    ),
    call=_backward, gradient=_attention_check, joins=gpt_losses(), joined=GPT, inputs=80,
    mistakes=(
        mistake("dv is made with p, not with p transposed",
                "A key's value gets dy of every query that looked at it: the sum is over queries.",
                "p.swapaxes(-1, -2) @ dy_heads", "p @ dy_heads"),
        mistake("softmax's second term is missing",
                "ds = p (dp - sum p dp); the sum is dy . y of the row.",
                "@ v_heads.swapaxes(-1, -2) - row)", "@ v_heads.swapaxes(-1, -2))"),
        mistake("the scale is missing",
                "s = scale q . k, so dq and dk have a factor scale.",
                "    ds = ds * factor\n", ""),
        mistake("heads that share a key are averaged",
                "Each query head sends its gradient to the key head that it read: they add up.",
                "_sum_groups(ds.swapaxes(-1, -2) @ q_heads, group)",
                "_sum_groups(ds.swapaxes(-1, -2) @ q_heads, group) / group"),
        mistake("gradients are turned forward, not back",
                "The inverse of a rotation is the rotation back.",
                "rotary, back=True)", "rotary, back=False)"),
        mistake("softmax's factor p is missing",
                "ds = p (dp - row).",
                "ds = p * (dy_heads", "ds = (dy_heads"),
        mistake("dk is made with ds, not with ds transposed",
                "A key's gradient is a sum over queries.",
                "ds.swapaxes(-1, -2) @ q_heads", "ds @ q_heads"),
        mistake("the bias's gradient is scaled",
                "The bias is added after the scale.",
                "ds.sum(axis=0))", "(ds * factor).sum(axis=0))"),
        mistake("what was to be filled is not",
                "`out` holds views of one packed gradient: write into them.",
                "if out is None:\n        out = [", "if True:\n        out = ["),
        mistake("a row that sees nothing gets nan",
                "lse is -inf there, and -inf - -inf is nan.",
                "np.where(np.isneginf(lse), 0, lse)[..., None]", "lse[..., None]"),
    ),
)

EXERCISES = (
    EMBEDDING_GRADIENT, EMBEDDING_FASTER, ROPE, SCORES, WEIGHTS, GRADIENT, SCORES_HUNT,
)
