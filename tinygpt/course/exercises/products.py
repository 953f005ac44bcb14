"""Products of matrices, and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygpt.course.draw import Draw
from tinygpt.course.exercise import Exercise, Holds, mistake
from tinygpt.course.exercises.work import gpt_losses, net_losses

LEADS = (((), ()), ((2,), ()), ((), (2,)), ((2,), (2,)), ((3, 1), (2,)))


def _product(draw: Draw) -> tuple[Any, ...]:
    (left, right), dtype = draw.choice(LEADS), draw.dtype()
    m, k, n = (draw.integer(1, 4) for _ in range(3))
    a, b = draw.array((*left, m, k), dtype), draw.array((*right, k, n), dtype)
    lead = np.broadcast_shapes(left, right)
    return draw.array((*lead, m, n), dtype), a, b


def _matmul_check(draw: Draw) -> Any:
    from minigrad import ops

    return ops.matmul, [draw.array((2, 3, 4)), draw.array((4, 2))]


MATMUL_GRADIENT = Exercise(
    name="matmul-gradient", title="The gradients of a matrix product", kind="write",
    target="kernels.numpy_ref.matmul:matmul_backward", chapter="matmul.md", minutes=25,
    after=("unbroadcast",),
    hints=(
        "Write one element: c_mn = sum_k a_mk b_kn. By how much does the loss grow with a_mk?",
        "da_mk = sum_n dc_mn b_kn: that is a product with b transposed. Which shapes fit tells you "
        "the order.",
        "Swap the last two axes only (swapaxes(-1, -2)); .T turns round all of them. Last, _sum_to "
        "sums over what was broadcast.",
    ),
    call=_product,
    holds=(
        Holds("each gradient has its operand's shape",
              lambda f, dc, a, b: [g.shape for g in f(dc, a, b)] == [a.shape, b.shape]),
        Holds("<dc, a b> = <da, a> for the product as it is",
              lambda f, dc, a, b: bool(np.isclose(
                  (f(dc, a, b)[0] * a).sum(), (dc * (a @ b)).sum(), rtol=1e-3, atol=1e-3))),
    ),
    gradient=_matmul_check, joins=net_losses, joined="20 steps of a net that learns a curve",
    inputs=80,
    mistakes=(
        mistake("b is not transposed",
                "da = dc b^T: (m, n) times (n, k). Without the swap the shapes fit by luck only.",
                "np.matmul(dc, b.swapaxes(-1, -2))", "np.matmul(dc, b)"),
        mistake("a is not transposed",
                "db = a^T dc: (k, m) times (m, n).",
                "np.matmul(a.swapaxes(-1, -2), dc)", "np.matmul(a, dc)"),
        mistake("db comes out transposed",
                "dc^T a has shape (n, k); b has (k, n).",
                "np.matmul(a.swapaxes(-1, -2), dc)", "np.matmul(dc.swapaxes(-1, -2), a)"),
        mistake("da comes out transposed",
                "b dc^T has shape (k, m); a has (m, k).",
                "np.matmul(dc, b.swapaxes(-1, -2))", "np.matmul(b, dc.swapaxes(-1, -2))"),
        mistake("the two gradients are exchanged",
                "They are returned in the order of the operands.",
                "return _sum_to(da, a.shape), _sum_to(db, b.shape)",
                "return _sum_to(db, b.shape), _sum_to(da, a.shape)"),
        mistake("a's gradient is not summed over a broadcast axis",
                "Where a was repeated over a batch, its gradient is the sum over that batch.",
                "_sum_to(da, a.shape)", "da"),
        mistake("b's gradient is not summed over a broadcast axis",
                "Where b was repeated over a batch, its gradient is the sum over that batch.",
                "_sum_to(db, b.shape)", "db"),
        mistake("all axes of b are turned round, not the last two",
                ".T reverses a batch's axes as well.",
                "b.swapaxes(-1, -2)", "b.T"),
        mistake("dc is taken for ones",
                "What comes back from above weighs each element of c.",
                "np.matmul(dc, b", "np.matmul(np.ones_like(dc), b"),
    ),
)


def _dense(draw: Draw) -> tuple[Any, ...]:
    """Arguments of linear_backward."""
    activation, dtype = draw.choice((None, "gelu", "silu", "swiglu")), draw.dtype()
    lead, inner, out = draw.shape(1, 2, 3), draw.integer(1, 4), draw.integer(1, 4)
    width = 2 * inner if activation == "swiglu" else inner
    x, weight = draw.array((*lead, width), dtype), draw.array((out, inner), dtype)
    bias = draw.array((out,), dtype) if draw.flag() else None
    wants = draw.choice(((True, True, True), (True, False, True), (False, True, False)))
    return draw.array((*lead, out), dtype), x, weight, activation, bias, wants


def _linear_check(draw: Draw) -> Any:
    from minigrad import ops

    activation = draw.choice(("gelu", None, "silu"))
    arrays = [draw.array((3, 4)), draw.array((2, 4)), draw.array((2,))]
    return lambda x, w, b: ops.linear(x, w, b, activation), arrays


LINEAR_GRADIENT = Exercise(
    name="linear-gradient", title="The gradients of a dense layer", kind="write",
    target="kernels.numpy_ref.linear:linear_backward", chapter="matmul.md", minutes=30,
    after=("matmul-gradient",),
    hints=(
        "y = act(x) W^T + b. Three gradients: of x, of W, of b; None for what is not wanted.",
        "Put all rows below each other, (R, out): then dW = dy^T act(x), and db sums over the "
        "rows.",
        "dx is dy W, times the slope of the activation: activation_gradient(da, x, activation) "
        "does "
        "the last part, activate(x, activation) computes act(x).",
    ),
    call=_dense,
    gradient=_linear_check, joins=gpt_losses(), joined="20 steps of a small GPT", inputs=100,
    mistakes=(
        mistake("dweight comes out transposed",
                "weight is (out, in), so its gradient is dy^T act(x) and not act(x)^T dy.",
                "rows.T @ activate(x, activation).reshape(R, inner)",
                "activate(x, activation).reshape(R, inner).T @ rows"),
        mistake("dweight forgets the activation",
                "W multiplies act(x), not x: its gradient is made of act(x).",
                "activate(x, activation).reshape(R, inner)", "x.reshape(R, inner)"),
        mistake("dx forgets the activation's slope",
                "dy W is the gradient of act(x); x's own has act'(x) as a factor.",
                "activation_gradient(dy @ weight, x, activation)", "dy @ weight"),
        mistake("the weight is transposed in dx",
                "Forward is x W^T, so backward is dy W.",
                "dy @ weight", "dy @ weight.T"),
        mistake("dbias is a mean",
                "b is added to every row, so every row's gradient adds to it.",
                "rows.sum(axis=0)", "rows.mean(axis=0)"),
        mistake("dbias is summed over the wrong axis",
                "The rows go, the outputs stay: axis 0.",
                "rows.sum(axis=0)", "rows.sum(axis=1)"),
        mistake("dx is computed where it is not wanted",
                "wants says what to leave out: a third of the work, where a layer comes first.",
                "if wants[0]:", "if True:"),
        mistake("there is a dbias without a bias",
                "Where no bias was given, its gradient is None.",
                "if wants[2] and bias is not None:", "if wants[2]:"),
        mistake("dweight is a mean over rows",
                "Each row adds to the gradient; whether the loss is a mean, dy knows already.",
                "rows.T @ activate(x, activation).reshape(R, inner)",
                "rows.T @ activate(x, activation).reshape(R, inner) / R"),
    ),
)

EXERCISES = (MATMUL_GRADIENT, LINEAR_GRADIENT)
