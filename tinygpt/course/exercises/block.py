"""What a block is made of besides attention: norms, GELU, dropout; and how large it all is."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygpt.course.draw import Draw
from tinygpt.course.exercise import Exercise, Holds, Question, mistake
from tinygpt.course.exercises.work import gpt_losses

GPT = "20 steps of a small GPT"


def _norm(draw: Draw) -> tuple[Any, ...]:
    shape, dtype = draw.shape(1, 3), draw.dtype()
    x, weight = draw.array(shape, dtype), draw.array(shape[-1:], dtype)
    if draw.integer(0, 3) == 3:
        x = x * dtype(1e-3)
    bias = draw.array(shape[-1:], dtype) if draw.flag() else None
    residual = draw.array(shape, dtype) if draw.flag() else None
    return x, weight, bias, residual, draw.choice((1e-5, 1e-2))


def _rows_have_mean_zero(f: Any, x: Any, weight: Any, bias: Any, residual: Any, eps: float) -> bool:
    y = f(x, np.ones_like(weight), None, residual, eps)[0]
    return bool(np.allclose(y.mean(axis=-1), 0, atol=1e-4))


def _layernorm_check(draw: Draw) -> Any:
    from minigrad import ops

    return ops.layernorm, [draw.array((3, 5)), draw.array((5,)), draw.array((5,))]


LAYERNORM = Exercise(
    name="layernorm", title="Layer normalisation", kind="write",
    target="kernels.numpy_ref.layernorm:layernorm_forward", chapter="norms.md", minutes=20,
    after=("mean",),
    hints=(
        "Each row by itself: take its mean off, divide by its standard deviation, then the gain "
        "and "
        "the bias.",
        "The variance is the mean of squares (divided by C, not C - 1), and eps goes under the "
        "root.",
        "s = x + residual is normalised and returned too; mean and rstd come back as one number a "
        "row: reshape(-1).",
    ),
    call=_norm, holds=(Holds("with a gain of 1 every row has mean 0", _rows_have_mean_zero),),
    gradient=_layernorm_check, joins=gpt_losses(), joined=GPT, inputs=80,
    mistakes=(
        mistake("the variance divides by C - 1",
                "Norms use the biased variance: the mean of squares.",
                "((s - mean) ** 2).mean(axis=-1, keepdims=True)",
                "((s - mean) ** 2).sum(axis=-1, keepdims=True) / max(s.shape[-1] - 1, 1)"),
        mistake("eps is missing",
                "A row of equal numbers has variance 0, and 1 / 0 is inf.",
                "np.sqrt(variance + x.dtype.type(eps))", "np.sqrt(variance)"),
        mistake("eps stands outside of the root",
                "rstd is 1 / sqrt(var + eps), not 1 / (sqrt(var) + eps).",
                "np.sqrt(variance + x.dtype.type(eps))", "(np.sqrt(variance) + x.dtype.type(eps))"),
        mistake("the root is missing",
                "It is divided by the standard deviation, the root of the variance.",
                "1 / np.sqrt(variance + x.dtype.type(eps))", "1 / (variance + x.dtype.type(eps))"),
        mistake("the mean stays in",
                "Without taking off the mean this is RMS norm, nearly.",
                "y = (s - mean) * rstd * weight", "y = s * rstd * weight"),
        mistake("it normalises over the first axis",
                "Each token by itself: over its channels, the last axis.",
                "s.mean(axis=-1, keepdims=True)", "s.mean(axis=0, keepdims=True)"),
        mistake("the variance is not about the mean",
                "The mean of s^2 is the variance only where the mean is 0.",
                "((s - mean) ** 2)", "(s**2)"),
        mistake("the residual is left out",
                "What is normalised is x + residual.",
                "s = x if residual is None else x + residual", "s = x"),
        mistake("the bias is left out",
                "Last comes + bias, where there is one.",
                "y = y + bias", "pass"),
        mistake("the standard deviation is returned, not its inverse",
                "Backward multiplies by rstd = 1 / sqrt(var + eps).",
                "rstd.reshape(-1)", "(1 / rstd).reshape(-1)"),
    ),
)


def _normed(draw: Draw) -> tuple[Any, ...]:
    """Arguments of layernorm_backward."""
    shape, dtype = draw.shape(1, 3), draw.dtype()
    s, weight = draw.array(shape, dtype), draw.array(shape[-1:], dtype)
    mean = s.mean(axis=-1)
    rstd = 1 / np.sqrt(s.var(axis=-1) + dtype(1e-2))
    ds = draw.array(shape, dtype) if draw.flag() else None
    return draw.array(shape, dtype), s, weight, mean.reshape(-1), rstd.reshape(-1).astype(dtype), ds


LAYERNORM_GRADIENT = Exercise(
    name="layernorm-gradient", title="The gradient of layer norm", kind="write",
    target="kernels.numpy_ref.layernorm:layernorm_backward", chapter="norms.md", minutes=45,
    after=("layernorm", "softmax-gradient"),
    hints=(
        "Three ways lead from s_j to the loss: directly, through the mean, and through rstd.",
        "First n, the normalised rows, and dn = dy weight. dweight and dbias are sums over rows.",
        "ds = rstd (dn - mean(dn) - n mean(dn n)), the means over the last axis, kept. What "
        "arrived "
        "as ds is added.",
    ),
    call=_normed,
    holds=(
        Holds("without ds each row of dx sums to 0: a shift of a row changes nothing",
              lambda f, dy, s, w, m, r, ds: bool(
                  np.allclose(f(dy, s, w, m, r)[0].sum(axis=-1), 0, atol=1e-3))),
    ),
    gradient=_layernorm_check, joins=gpt_losses(), joined=GPT, inputs=80,
    mistakes=(
        mistake("the way through the mean is missing",
                "Raising s_j raises the row's mean, which lowers all the others: - mean(dn).",
                "dn - dn.mean(axis=-1, keepdims=True) - n", "dn - n"),
        mistake("the way through the standard deviation is missing",
                "Raising s_j changes rstd: - n mean(dn n).",
                " - n * (dn * n).mean(axis=-1, keepdims=True)\n", "\n"),
        mistake("rstd is missing",
                "n = (s - mean) rstd, so everything has a factor rstd.",
                "dx = rstd.reshape(column) * (", "dx = 1 * ("),
        mistake("a sum where a mean belongs",
                "mean and variance are means over C: each element's share is 1 / C.",
                "dn - dn.mean(axis=-1, keepdims=True) - n * (dn * n).mean(",
                "dn - dn.sum(axis=-1, keepdims=True) - n * (dn * n).sum("),
        mistake("the gain is forgotten",
                "y = n weight + bias, so dn = dy weight.",
                "dn = dy * weight", "dn = dy"),
        mistake("dweight is made of s, not of n",
                "The gain multiplies the normalised rows.",
                "(dy * n).sum(axis=rows)", "(dy * s).sum(axis=rows)"),
        mistake("dweight and dbias are means",
                "Every row adds to them.",
                "(dy * n).sum(axis=rows), dy.sum(axis=rows)",
                "(dy * n).mean(axis=rows), dy.mean(axis=rows)"),
        mistake("what came another way is dropped",
                "ds reached s past the norm, over the residual stream: it is added.",
                "dx if ds is None else dx + ds", "dx"),
        mistake("the last term forgets n",
                "n_j times the mean of dn n.",
                "- n * (dn * n)", "- (dn * n)"),
    ),
)


def _rms(draw: Draw) -> tuple[Any, ...]:
    dy, s, weight, _, _, ds = _normed(draw)
    rstd = 1 / np.sqrt((s * s).mean(axis=-1) + s.dtype.type(1e-2))
    return dy, s, weight, rstd.reshape(-1).astype(s.dtype), ds


def _rmsnorm_check(draw: Draw) -> Any:
    from minigrad import ops

    return ops.rmsnorm, [draw.array((3, 5)), draw.array((5,))]


RMSNORM_GRADIENT = Exercise(
    name="rmsnorm-gradient", title="The gradient of RMS norm", kind="write",
    target="kernels.numpy_ref.rmsnorm:rmsnorm_backward", chapter="norms.md", minutes=30,
    after=("layernorm-gradient",),
    hints=(
        "As layer norm, with one way less: there is no mean.",
        "n = s r and dn = dy weight, with r reshaped to (..., 1).",
        "ds = r (dn - n mean(dn n)).",
    ),
    call=_rms,
    gradient=_rmsnorm_check, joins=gpt_losses(norm="rmsnorm"), joined=GPT, inputs=80,
    mistakes=(
        mistake("it is layer norm's",
                "RMS norm takes no mean off, so nothing comes back through one.",
                "r * (dn - n *", "r * (dn - dn.mean(axis=-1, keepdims=True) - n *"),
        mistake("the way through rstd is missing",
                "Raising s_j lowers r for the whole row: - n mean(dn n).",
                "(dn - n * (dn * n).mean(axis=-1, keepdims=True))", "dn"),
        mistake("rstd is missing", "n = s r: everything has a factor r.", "dx = r *", "dx = 1 *"),
        mistake("a sum where a mean belongs",
                "It is the mean square: each element's share is 1 / C.",
                "(dn * n).mean(", "(dn * n).sum("),
        mistake("the gain is forgotten", "dn = dy weight.", "dn = dy * weight", "dn = dy"),
        mistake("dweight is made of s, not of n",
                "The gain multiplies the normalised rows.",
                "(dy * n).sum(", "(dy * s).sum("),
        mistake("what came another way is dropped",
                "ds reached s past the norm: it is added.",
                "dx if ds is None else dx + ds", "dx"),
        mistake("n is not in the last term twice",
                "n_j times the mean of dn n.", "dn - n * (dn * n)", "dn - (dn * n)"),
        mistake("the sign of the second term is wrong",
                "A larger s_j makes r smaller: minus.", "(dn - n *", "(dn + n *"),
    ),
)


def _wide(draw: Draw) -> tuple[Any, ...]:
    numbers = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, -3.0, 5.0, -5.0, 12.0, -12.0, 40.0, -40.0)
    return (draw.array(draw.shape(1, 2), draw.dtype(), numbers),)


def _gelu_check(draw: Draw) -> Any:
    from minigrad import ops

    return ops.gelu, [draw.array((3, 4))]


GELU = Exercise(
    name="gelu", title="GELU and its slope", kind="write",
    target="kernels.numpy_ref.gelu:gelu_with_derivative", chapter="block.md", minutes=25,
    after=("tanh",),
    hints=(
        "y = x s with s = sigmoid(2u): the derivation above is all there is.",
        "The product rule: dy/dx = s + x s', and s' = s (1 - s) 2u'.",
        "1 - s is 1 / (1 + e^2u): computed so, it keeps its digits. np.errstate(over='ignore') "
        "around the exponentials: 1 / (1 + inf) = 0 is right.",
    ),
    call=_wide,
    holds=(
        Holds("gelu(x) - gelu(-x) = x",
              lambda f, x: bool(np.allclose(f(x)[0] - f(-x)[0], x, atol=1e-5))),
    ),
    gradient=_gelu_check, joins=gpt_losses(), joined=GPT, inputs=80,
    mistakes=(
        mistake("the cube's slope has lost its 3",
                "d(x^3)/dx is 3 x^2.",
                "(1 + 3 * CUBIC * square)", "(1 + CUBIC * square)"),
        mistake("the product rule's first term is missing",
                "y = x s: the slope of x, times s, is a term of its own.",
                "return y, s + y * rest", "return y, y * rest"),
        mistake("the product rule's second term is missing",
                "s depends on x as well.",
                "return y, s + y * rest * (2 * SQRT_2_OVER_PI) * (1 + 3 * CUBIC * square)",
                "return y, s"),
        mistake("the 2 of sigmoid(2u) is missing",
                "(1 + tanh u) / 2 is sigmoid(2u).",
                "twice = 2 * SQRT_2_OVER_PI", "twice = SQRT_2_OVER_PI"),
        mistake("it is the quick form, sigmoid(1.702 x)",
                "That is another approximation, up to 0.02 away.",
                "twice = 2 * SQRT_2_OVER_PI * x * (1 + CUBIC * square)", "twice = 1.702 * x"),
        mistake("the cubic term is missing",
                "u = c (x + a x^3), a = 0.044715.",
                "* x * (1 + CUBIC * square)", "* x"),
        mistake("s (1 - s) became s s",
                "The slope of a sigmoid is s (1 - s).",
                "y * rest * (2", "y * s * (2"),
        mistake("the value is the sigmoid alone",
                "GELU is x times it.",
                "y = x * s", "y = s + 0 * x"),
        mistake("the slope has lost its 2",
                "s' = s (1 - s) times the slope of 2u.",
                "(2 * SQRT_2_OVER_PI)", "(SQRT_2_OVER_PI)"),
    ),
)


def _dropped(draw: Draw) -> tuple[Any, ...]:
    x = draw.array(draw.shape(1, 2, 5), draw.dtype())
    return x, draw.choice((0.5, 0.25, 0.0, 0.9)), draw.integer(0, 1000)


def _dropout_check(draw: Draw) -> Any:
    from minigrad import ops

    return lambda x: ops.dropout(x, 0.5, 7), [draw.array((3, 4), np.float64, (1.0, -2.0, 0.5))]


DROPOUT = Exercise(
    name="dropout", title="Dropout that keeps the mean", kind="write",
    target="kernels.numpy_ref.dropout:dropout_forward", chapter="block.md", minutes=10,
    after=("shapes",),
    hints=(
        "The mask is made already: True means keep.",
        "A share 1 - p is kept. By what must it be multiplied, so that the average stays x?",
        "np.where(keep, ..., 0), the 0 and the factor in x's dtype.",
    ),
    call=_dropped,
    holds=(
        Holds("what is not 0 is x / (1 - p)",
              lambda f, x, p, key: bool(np.allclose(
                  np.where(f(x, p, key) == 0, 0, f(x, p, key) * (1 - p) - x), 0, atol=1e-5))),
    ),
    gradient=_dropout_check, joins=gpt_losses(dropout=0.2), joined=GPT + " with dropout",
    mistakes=(
        mistake("what is kept is not scaled",
                "Half of the numbers gone, the sum would be half as large as when the model is "
                "used.",
                "x * x.dtype.type(1 / (1 - p))", "x"),
        mistake("what is kept is made smaller",
                "Fewer are left, so each must count more: divide by 1 - p.",
                "1 / (1 - p)", "1 - p"),
        mistake("it is divided by p",
                "p is the share that goes; what is left is 1 - p.",
                "1 / (1 - p)", "1 / max(p, 0.01)"),
        mistake("the mask is turned round",
                "True means keep.",
                "np.where(keep, x * x.dtype.type(1 / (1 - p)), x.dtype.type(0))",
                "np.where(keep, x.dtype.type(0), x * x.dtype.type(1 / (1 - p)))"),
        mistake("what is dropped stays as it was",
                "Dropped means 0.",
                "x.dtype.type(0))", "x)"),
        mistake("everything is scaled and nothing dropped",
                "np.where chooses: x / (1 - p) or 0.",
                "np.where(keep, x * x.dtype.type(1 / (1 - p)), x.dtype.type(0))",
                "x * x.dtype.type(1 / (1 - p))"),
    ),
)


def _block_parameters() -> int:
    """Of the products of one block, counted in a real model of width 128."""
    from tinygpt.model import ModelShape, build

    def count(layers: int) -> int:
        model = build(ModelShape(n_layers=layers, d_model=128), None)
        return sum(p.data.size for p in model.parameters() if p.data.ndim == 2)

    return count(2) - count(1)


SIZES = Exercise(
    name="sizes", title="How large is it, beforehand", kind="predict", target="",
    chapter="block.md", minutes=15, after=("shapes",),
    hints=(
        "A block has four products: to q, k and v together (C x 3C), back (C x C), up (C x 4C), "
        "down "
        "(4C x C).",
        "AdamW keeps two numbers beside each weight, and while training there is its gradient.",
        "Attention compares every position with every other: T x T scores for each head of each "
        "row.",
    ),
    questions=(
        Question("a", "A GPT-2 block of width C = 128 without biases. How many numbers do its four "
                 "weight matrices have?",
                 _block_parameters,
                 ((4 * 128 * 128, "The MLP is four times as wide: 4 + 8 squares of C."),
                  (8 * 128 * 128, "Those are the MLP's; attention has 3 + 1 squares of C."),
                  (128 * 128, "One square of C is one projection."))),
        Question("b", "10 million weights in float32, trained with AdamW. How many megabytes for "
                 "weights, gradients and the optimizer's state together?",
                 lambda: 4 * 4 * 10e6 / 1e6,
                 ((40.0, "That is the weights alone."),
                  (80.0, "AdamW keeps two numbers for each weight as well."),
                  (120.0, "Weights, gradients, m and v: four numbers a weight."))),
        Question("c", "A batch of 8 rows, 6 heads, 256 positions. How many megabytes take all "
                 "attention scores of one layer in float32, if they are stored?",
                 lambda: 8 * 6 * 256 * 256 * 4 / 1e6,
                 ((8 * 256 * 256 * 4 / 1e6, "Each head has scores of its own."),
                  (8 * 6 * 256 * 4 / 1e6, "Every position looks at every other: T x T."))),
        Question("d", "6 layers of width 192 have a KV cache for 256 positions in float32. How "
                      "many "
                 "megabytes?",
                 lambda: 2 * 4 * 6 * 256 * 192 / 1e6,
                 ((4 * 6 * 256 * 192 / 1e6, "Keys and values: two arrays."),
                  (2 * 4 * 256 * 192 / 1e6, "Every layer has its own."))),
        Question("e", "About how many million floating-point operations take one token of training "
                 "a model of 10 million weights, forward and backward?",
                 lambda: 60.0,
                 ((20.0, "That is forward: a multiplication and an addition for each weight."),
                  (40.0, "That is backward alone: twice forward's."),
                  (10.0, "Each weight is multiplied and added, three times over."))),
    ),
)

EXERCISES = (LAYERNORM, LAYERNORM_GRADIENT, RMSNORM_GRADIENT, GELU, DROPOUT, SIZES)
