"""Learning: steps, rates, what is added up, and what is written to the disk."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from tinygpt.course.draw import Draw
from tinygpt.course.exercise import Exercise, Holds, mistake
from tinygpt.course.exercises.work import gpt_losses, gpt_steps, muon_losses

GPT = "20 steps of a small GPT"


def _plan(draw: Draw) -> tuple[Any, ...]:
    warmup, steps = draw.integer(0, 6), draw.integer(1, 20)
    low = draw.choice((0.0, 0.1, 0.5, 1.0))
    if draw.integer(0, 14) == 14:
        return draw.choice(((1.0, 2.0, 0, 5), (1.0, 0.0, -1, 5), (1.0, 0.0, 0, 0)))
    return 1.0, low, warmup, steps


def _rates(f: Any, lr: float, low: float, warmup: int, steps: int) -> list[float]:
    rate = f(lr, low, warmup, steps)
    return [float(rate(step)) for step in range(warmup + steps + 3)]


SCHEDULE = Exercise(
    name="schedule", title="Warm up, then half a cosine", kind="write",
    target="minigrad.optim.schedule:warmup_cosine", chapter="training.md", minutes=20,
    hints=(
        "Return a function of the step. Three cases: before warmup_steps, from steps on, between.",
        "Step 0 is not rate 0: lr (step + 1) / (warmup_steps + 1).",
        "Between: progress from 0 to 1 of what is left; (1 + cos(pi progress)) / 2 falls from 1 "
        "to 0 "
        "and is scaled to lr ... min_lr. Bad arguments are a ValueError.",
    ),
    call=_plan, run=_rates, shown="{f}({0}, {rest})", inputs=150,
    holds=(
        Holds("no rate is above lr, none after the warm-up below min_lr",
              lambda f, lr, low, w, s: all(
                  low - 1e-9 <= r <= lr + 1e-9 for r in _rates(f, lr, low, w, s)[w:])),
    ),
    joins=lambda: gpt_steps()(), joined=GPT + " with a schedule",
    mistakes=(
        mistake("the first step has rate 0",
                "A step of rate 0 is a batch for nothing.",
                "lr * (step + 1) / (warmup_steps + 1)", "lr * step / (warmup_steps + 1)"),
        mistake("the warm-up reaches lr one step early",
                "The ramp ends at warmup_steps, where the cosine begins: divide by warmup_steps + "
                "1.",
                "(step + 1) / (warmup_steps + 1)", "(step + 1) / warmup_steps"),
        mistake("the cosine begins at step 0, not after the warm-up",
                "progress is (step - warmup_steps) / (steps - warmup_steps).",
                "progress = (step - warmup_steps) / max(steps - warmup_steps, 1)",
                "progress = step / steps"),
        mistake("it is a whole cosine",
                "From 0 to pi it falls once; to 2 pi it comes up again.",
                "math.cos(math.pi * progress)", "math.cos(2 * math.pi * progress)"),
        mistake("it is a straight line",
                "Half a cosine is flat at both ends.",
                "0.5 * (1 + math.cos(math.pi * progress))", "(1 - progress)"),
        mistake("it falls to 0, not to min_lr",
                "min_lr + (lr - min_lr) times the half cosine.",
                "return min_lr + 0.5 * (1 + math.cos(math.pi * progress)) * (lr - min_lr)",
                "return 0.5 * (1 + math.cos(math.pi * progress)) * lr"),
        mistake("min_lr is added to the whole range",
                "The range is lr - min_lr, or the rate begins above lr.",
                "* (lr - min_lr)", "* lr"),
        mistake("after the end it is 0",
                "From step `steps` on it is min_lr.",
                "return min_lr\n        progress", "return 0.0\n        progress"),
        mistake("the half is missing",
                "1 + cos goes from 2 to 0.",
                "min_lr + 0.5 * (1 +", "min_lr + (1 +"),
    ),
)


def _adam(draw: Draw) -> tuple[Any, ...]:
    """param, grad, m, v, lr, beta1, beta2, eps, weight_decay, step, grad_scale."""
    dtype, shape = draw.dtype(), draw.shape(1, 2, 3)
    param, grad, m = (draw.array(shape, dtype) for _ in range(3))
    v = np.abs(draw.array(shape, dtype))
    return (
        param, grad, m, v, draw.choice((0.1, 0.01)), draw.choice((0.9, 0.5)),
        draw.choice((0.99, 0.9)), draw.choice((1e-3, 1e-1)), draw.choice((0.0, 0.1)),
        draw.integer(1, 4), draw.choice((1.0, 0.5)),
    )


ABOUT_ADAMW = (
    "param, grad, m, v: arrays of one shape and dtype; param, m and v are changed in place. step: "
    "1 "
    "for the first. weight_decay: decoupled, per unit of lr. grad_scale: a factor on grad, which "
    "is "
    "not written to. Python's numbers go through param.dtype.type, lest float32 become float64."
)
ADAMW_MISTAKES = (
    mistake("the moments are not corrected",
            "m and v begin at 0, so that the first ones are too small by 1 - beta^step.",
            "m_hat = m / param.dtype.type(1 - beta1**step)", "m_hat = m",
            "v_hat = v / param.dtype.type(1 - beta2**step)", "v_hat = v"),
    mistake("the correction counts steps from 0",
            "step is 1 for the first step: beta^step, not beta^(step + 1).",
            "1 - beta1**step)", "1 - beta1 ** (step + 1))",
            "1 - beta2**step)", "1 - beta2 ** (step + 1))"),
    mistake("the decay goes through the gradient",
            "That is Adam with L2: the decay is then divided by the root of v. AdamW's is not.",
            "    g = grad * param.dtype.type(grad_scale)\n",
            "    g = grad * param.dtype.type(grad_scale) + param.dtype.type(weight_decay) * "
            "param\n",
            "    param *= param.dtype.type(1 - lr * weight_decay)\n", ""),
    mistake("the decay is not per unit of lr",
            "It shrinks by 1 - lr weight_decay, so that it follows the schedule.",
            "1 - lr * weight_decay", "1 - weight_decay"),
    mistake("eps stands under the root",
            "sqrt(v) + eps: eps is compared with the root.",
            "(np.sqrt(v_hat) + param.dtype.type(eps))", "np.sqrt(v_hat + param.dtype.type(eps))"),
    mistake("the root is missing",
            "It is divided by the root of the second moment.",
            "np.sqrt(v_hat)", "v_hat"),
    mistake("v gathers g, not its square",
            "The second moment is the mean of g^2.",
            "v += (g * g - v)", "v += (np.abs(g) - v)"),
    mistake("the betas are exchanged",
            "beta1 is the momentum's, beta2 the square's.",
            "m += (g - m) * param.dtype.type(1 - beta1)",
            "m += (g - m) * param.dtype.type(1 - beta2)"),
    mistake("grad_scale is ignored",
            "The clipping factor is a factor on the gradient.",
            "grad * param.dtype.type(grad_scale)", "grad * param.dtype.type(1)"),
    mistake("it climbs", "Down the gradient: minus.", "param -= ", "param += "),
    mistake("the decay is applied after the step, to the new weight",
            "The weight that decays is the one before the step.",
            "    param *= param.dtype.type(1 - lr * weight_decay)\n", "",
            "(np.sqrt(v_hat) + param.dtype.type(eps))\n",
            "(np.sqrt(v_hat) + param.dtype.type(eps))\n"
            "    param *= param.dtype.type(1 - lr * weight_decay)\n"),
)

ADAMW = Exercise(
    name="adamw", title="One step of AdamW", kind="write",
    target="kernels.numpy_ref.adamw:_step", chapter="training.md", minutes=30, after=("schedule",),
    about=ABOUT_ADAMW,
    hints=(
        "Two running means: m of the gradient, v of its square. m += (g - m) (1 - beta1) changes m "
        "in place.",
        "Both began at 0: divide by 1 - beta^step to undo that.",
        "First the weight shrinks by 1 - lr weight_decay, then goes lr m_hat / (sqrt(v_hat) + eps) "
        "down.",
    ),
    call=_adam, joins=gpt_losses(), joined=GPT, inputs=80, mistakes=ADAMW_MISTAKES,
)

ADAMW_HUNT = Exercise(
    name="adamw-hunt", title="A test for AdamW", kind="hunt",
    target="kernels.numpy_ref.adamw:_step", chapter="training.md", minutes=30, after=("adamw",),
    about=ABOUT_ADAMW,
    hints=(
        "One number is enough: param = [1.0], and you can work a step out on paper.",
        "Mistakes in the corrections show at step 1; those in v and the betas at a second step "
        "with "
        "another gradient.",
        "Take a large eps, a large weight_decay, a grad_scale that is not 1: what is tiny hides.",
    ),
    begins="    p, g, m, v = (np.array([x]) for x in (1.0, 1.0, 0.0, 0.0))\n"
    "    _step(p, g, m, v, 0.1, 0.9, 0.99, 1e-8, 0.0, 1, 1.0)\n    assert p[0] < 1\n",
    mistakes=ADAMW_MISTAKES,
    equals=(
        mistake("with the moments written as weighted means", "beta m + (1 - beta) g.",
                "m += (g - m) * param.dtype.type(1 - beta1)",
                "m[...] = m * param.dtype.type(beta1) + g * param.dtype.type(1 - beta1)"),
        mistake("with the corrections pulled out", "As the fast versions have it.",
                "param.dtype.type(lr) * m_hat", "(param.dtype.type(lr) * m_hat)"),
        mistake("with the decay subtracted", "p - lr wd p.",
                "param *= param.dtype.type(1 - lr * weight_decay)",
                "param -= param * param.dtype.type(lr * weight_decay)"),
    ),
)


def _batches(draw: Draw) -> tuple[Any, ...]:
    """For each batch (values, a number that is logged); and the weights before."""
    rows = [
        (draw.array((draw.integer(1, 3),), np.float64), float(draw.integer(0, 5)))
        for _ in range(draw.integer(1, 3))
    ]
    return rows, float(draw.integer(1, 3))


def _gathered(f: Any, rows: list[Any], weight: float) -> Any:
    from minigrad import Tensor, tensor

    w = Tensor(np.array(weight), requires_grad=True)
    w.grad = np.array(100.0)  # of an earlier step

    def clear() -> None:
        w.grad = None

    def loss(model: Any, batch: Any) -> Any:
        return ((model * tensor(batch.values) - 1.0) ** 2).mean(), {"seen": batch.seen}

    batches = [
        SimpleNamespace(values=values, seen=seen, weight=len(values), tokens=2 * len(values))
        for values, seen in rows
    ]
    found = f(w, batches, loss, SimpleNamespace(zero_grad=clear))
    return {"loss": found.loss, "logged": found.logged, "tokens": found.tokens,
            "gradient": np.asarray(w.grad)}


ACCUMULATION = Exercise(
    name="accumulation", title="Several batches, one step", kind="write",
    target="tinygpt.training.step:gradients", chapter="training.md", minutes=25,
    after=("losses", "adamw"),
    hints=(
        "Each batch says in .weight how many answers its mean loss is a mean of. The mean over all "
        "is the sum of weight times loss, divided by the sum of the weights.",
        "backward(share) begins the walk with a gradient of share: batch.weight over the sum, or "
        "over whole where that is given, in the loss's dtype. Gradients of several walks add up by "
        "themselves.",
        "Forget the last step's gradients first. What is logged is weighed the same way; tokens "
        "are summed.",
    ),
    call=_batches, run=_gathered, shown="gradients(...)  # batches (values, logged) {0}",
    inputs=80,
    mistakes=(
        mistake("every batch counts the same",
                "A batch of 3 answers counts three times as much as one of 1.",
                "value.backward(np.asarray(batch.weight / (whole or weight), value.dtype))",
                "value.backward(np.asarray(1 / len(batches), value.dtype))"),
        mistake("gradients are summed, not averaged",
                "Each walk begins with the batch's share.",
                "value.backward(np.asarray(batch.weight / (whole or weight), value.dtype))",
                "value.backward()"),
        mistake("the last step's gradients are still there",
                "They add up until zero_grad.",
                "    optimizer.zero_grad()\n", ""),
        mistake("only the last batch counts",
                "zero_grad once, before all of them.",
                "    for batch in batches:\n", "    for batch in batches:\n"
                "        optimizer.zero_grad()\n"),
        mistake("the loss is the mean of the means",
                "Weigh each by its answers.",
                "total += batch.weight * value.item()",
                "total += weight / len(batches) * value.item()"),
        mistake("the loss is a sum", "It is a mean over all answers.",
                "Gathered(total / weight,", "Gathered(total,"),
        mistake("what is logged is not weighed",
                "It is a mean as the loss is.",
                "batch.weight * number / weight", "number / len(batches)"),
        mistake("answers are counted for tokens",
                "tokens is what was read, weight what was answered.",
                "sum(batch.tokens for", "sum(batch.weight for"),
    ),
)


def _gram(draw: Draw) -> tuple[Any, ...]:
    m, n, dtype = draw.integer(1, 3), draw.integer(3, 5), draw.dtype()
    x = draw.array((m, n), dtype)
    best = ((8.2, -23.3, 17.1), (4.0, -2.9, 0.55), (1.875, -1.25, 0.375))
    return x @ x.T, best[: draw.integer(1, 3)]


def _singular(f: Any, gram: np.ndarray, rounds: Any) -> bool:
    """With the house's own rounds, a matrix whose singular values are alike has them near 1."""
    exact = ((8.211827, -23.342877, 17.106415), (4.001597, -2.915098, 0.547473),
             (3.524594, -2.640558, 0.527298), (2.512775, -1.853505, 0.438949))
    x = np.eye(len(gram)) * 3
    return bool(np.allclose(f(x @ x.T, exact) @ x, np.eye(len(gram)), atol=0.25))


MUON = Exercise(
    name="muon", title="All singular values near 1", kind="write",
    target="kernels.numpy_ref.muon:whiten", chapter="training.md", minutes=90,
    after=("adamw", "matmul-gradient"),
    hints=(
        "First make the largest singular value 1 at most: divide G by its trace, the sum of their "
        "squares (plus TINY).",
        "Each round: p = a + b G + c G^2 (a on the diagonal), W becomes p W and G becomes p^2 G. "
        "All "
        "of them commute.",
        "W was found for X / |X|: divide by |X| at the end, the root of the trace. Keep the dtype.",
    ),
    call=_gram, holds=(Holds("singular values that are alike come out near 1", _singular),),
    joins=lambda: muon_losses(), joined="20 steps of a small GPT with Muon", closeness=1e-7,
    inputs=60,
    mistakes=(
        mistake("the matrix is not scaled first",
                "The polynomials are made for singular values from 0 to 1; beyond they explode.",
                "squared_norm = np.trace(gram) + as_dtype(TINY)", "squared_norm = as_dtype(1)"),
        mistake("the scale does not come off at the end",
                "W belongs to X / |X|: for X itself divide by |X|.",
                "return w / np.sqrt(squared_norm)", "return w"),
        mistake("it is divided by the squared norm at the end",
                "|X| is the root of the trace.",
                "return w / np.sqrt(squared_norm)", "return w / squared_norm"),
        mistake("G is multiplied by p once",
                "X becomes p X, so G = X X^T becomes p G p.",
                "g = p @ (p @ g)", "g = p @ g"),
        mistake("G stays as it was",
                "The next round's polynomial is one of the new G.",
                "            g = p @ (p @ g)\n", "            pass\n"),
        mistake("a is added everywhere, not on the diagonal",
                "a + b G + c G^2 means a times the identity.",
                "p.flat[:: len(p) + 1] += as_dtype(a)", "p += as_dtype(a)"),
        mistake("a is missing",
                "p(G) begins with a times the identity.",
                "        p.flat[:: len(p) + 1] += as_dtype(a)\n", ""),
        mistake("b and c are exchanged",
                "b stands with G, c with its square.",
                "as_dtype(c) * (g @ g) + as_dtype(b) * g", "as_dtype(b) * (g @ g) + as_dtype(c) * "
                                                           "g"),
        mistake("only the last round counts",
                "W gathers the p of all rounds.",
                "w = p if w is None else p @ w", "w = p"),
        mistake("it is divided by the norm of G",
                "The trace of G is the sum of squared singular values of X.",
                "np.trace(gram) + as_dtype(TINY)", "np.linalg.norm(gram) + as_dtype(TINY)"),
    ),
)


def _named_arrays(draw: Draw) -> tuple[Any, ...]:
    kinds = (np.float32, np.int64, np.uint16, np.float64, np.int8)
    tensors = {
        f"w{i}": np.zeros(draw.shape(0, 3, 3), draw.choice(kinds))
        for i in range(draw.integer(0, 4))
    }
    halves = tuple(n for n, a in tensors.items() if a.dtype == np.uint16 and draw.flag())
    return (tensors, halves) if halves else (tensors,)


def _one_after_another(f: Any, tensors: Any, *halves: Any) -> bool:
    places = [entry["data_offsets"] for entry in f(tensors, *halves).values()]
    return all(a[1] == b[0] for a, b in zip(places, places[1:], strict=False))


CHECKPOINT = Exercise(
    name="checkpoint", title="A checkpoint's table of contents", kind="write",
    target="tinygpt.storage.safetensors:describe", chapter="training.md", minutes=15,
    about="NAMES maps NumPy's names of dtypes to safetensors', 'float32' to 'F32'.",
    hints=(
        "Arrays lie one after another: each begins where the one before ended.",
        "An entry is {'dtype', 'shape', 'data_offsets': [begin, end]}, in bytes; the shape a list.",
        "NumPy has no bfloat16: such arrays are uint16, and their names are in `bfloat16`: 'BF16'.",
    ),
    call=_named_arrays, inputs=80,
    holds=(Holds("each array begins where the one before ended", _one_after_another),),
    mistakes=(
        mistake("offsets count numbers, not bytes", "array.nbytes, not array.size.",
                "offset + array.nbytes", "offset + array.size"),
        mistake("every array begins at 0", "The next begins where this one ended.",
                "        offset = end\n", ""),
        mistake("the length stands where the end belongs",
                "data_offsets are [begin, end].",
                "[offset, end]", "[offset, array.nbytes]"),
        mistake("bfloat16 is written as U16",
                "The bits are the same; who reads them must know what they mean.",
                '"BF16" if name in bfloat16 else NAMES[array.dtype.name]',
                "NAMES[array.dtype.name]"),
        mistake("NumPy's names are written", "F32, not float32.",
                "NAMES[array.dtype.name]", "array.dtype.name"),
        mistake("the shape is turned round", "Row-major, as NumPy says it.",
                "list(array.shape)", "list(array.shape[::-1])"),
        mistake("offsets count from the end of the header in the file",
                "They count from the first array's first byte.",
                "entries, offset = {}, 0", "entries, offset = {}, 8"),
        mistake("the number of numbers stands in the place of the shape",
                "A list with the length of each axis.",
                "list(array.shape)", "[array.size]"),
    ),
)

EXERCISES = (SCHEDULE, ADAMW, ADAMW_HUNT, ACCUMULATION, MUON, CHECKPOINT)
