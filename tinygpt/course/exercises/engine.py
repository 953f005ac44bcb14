"""The tape: what an operation leaves behind, and how gradients walk back."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygpt.course.draw import Draw
from tinygpt.course.exercise import Exercise, Holds, Question, mistake
from tinygpt.course.exercises.work import net_losses, through

NET = "20 steps of a net that learns a curve"


def _one(draw: Draw) -> tuple[Any, ...]:
    return (draw.array(draw.shape(0, 2), draw.dtype()),)


def _two(draw: Draw) -> tuple[Any, ...]:
    """Two operands, one of which may be broadcast; the second is never 0."""
    dtype, shape = draw.dtype(), draw.shape(1, 2)
    other = shape[draw.integer(0, len(shape) - 1) :] if draw.flag() else shape
    apart = (1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, 1.5)
    return draw.array(shape, dtype), draw.array(other, dtype, apart)


def _tanh_gradient(draw: Draw) -> Any:
    from minigrad import ops

    return ops.tanh, [draw.array((2, 3), np.float64)]


def _op_gradient(name: str) -> Any:
    def gradient(draw: Draw) -> Any:
        from minigrad import ops

        a = draw.array((2, 3), np.float64)
        return getattr(ops, name), [a, draw.array((3,), np.float64, (1.0, -2.0, 0.5, 1.5))]

    return gradient


def _shape_of(*shapes: tuple[int, ...]) -> Any:
    return lambda: np.broadcast_shapes(*shapes)


SHAPES = Exercise(
    name="shapes", title="Shapes, before you run them", kind="predict", target="",
    chapter="numbers.md", minutes=10,
    hints=(
        "Write the two shapes below each other, flush right. An axis that is missing counts as 1.",
        "A 1 stretches to whatever stands above or below it; two numbers that differ, neither 1, "
        "are an error. A matrix product takes (..., m, k) and (..., k, n) to (..., m, n).",
        "A sum takes its axis away, unless keepdims=True leaves a 1 there.",
    ),
    questions=(
        Question("a", "x has shape (4, 1, 3), y has shape (5, 3). The shape of x + y?",
                 _shape_of((4, 1, 3), (5, 3)),
                 (((4, 5, 3, 3), "Axes are matched from the right, one for one; none is added to "
                   "the end."),
                  ((4, 1, 3), "The middle axis of x has length 1: it stretches to y's 5."))),
        Question("b", "x has shape (6, 4). The shape of x.sum(axis=0)?",
                 lambda: np.zeros((6, 4)).sum(axis=0).shape,
                 (((6,), "axis=0 is the one that goes: what is left is the other."),
                  ((1, 4), "Only keepdims=True would leave the 1."))),
        Question("c", "x has shape (6, 4). The shape of x - x.mean(axis=-1, keepdims=True)?",
                 lambda: np.zeros((6, 4)).shape,
                 (((6, 1), "That is the shape of the mean; it stretches when it is subtracted."),)),
        Question("d", "q has shape (2, 8, 10, 16) and k the same: batch, heads, positions, "
                 "channels. The shape of q @ k.swapaxes(-1, -2)?",
                 lambda: (np.zeros((2, 8, 10, 16)) @ np.zeros((2, 8, 16, 10))).shape,
                 (((2, 8, 16, 16), "The inner axes are summed over: the 16 goes, both 10s stay."),
                  ((2, 8, 10, 16), "That would be a product with a (16, 16) matrix."))),
        Question("e", "A float32 array of shape (12, 256, 4096) takes how many megabytes (10^6)?",
                 lambda: 12 * 256 * 4096 * 4 / 1e6,
                 ((12 * 256 * 4096 / 1e6, "Each number takes four bytes."),
                  (12 * 256 * 4096 * 8 / 1e6, "A float64 takes eight bytes, a float32 four."))),
    ),
)

TANH = Exercise(
    name="tanh", title="An operation and its slope: tanh", kind="write",
    target="minigrad.ops.elementwise:tanh", chapter="tape.md", minutes=10, after=("shapes",),
    hints=(
        "Two things are needed: y = tanh(x) as an array, and how a gradient of y becomes one of x.",
        "The chain rule: dLoss/dx = dLoss/dy times dy/dx, element by element. What is dy/dx, "
        "written with y alone?",
        "Return Tensor(y, (x,), backward): the value, the parents, and a function that takes dy "
        "and returns a tuple with one gradient for each parent.",
    ),
    call=_one, run=through, shown="{f}(tensor({0}, requires_grad=True))",
    holds=(
        Holds("tanh is odd: tanh(-x) = -tanh(x)",
              lambda f, x: bool(np.allclose(through(f, -x)["value"], -through(f, x)["value"]))),
        Holds("its values lie between -1 and 1",
              lambda f, x: bool((np.abs(through(f, x)["value"]) <= 1).all())),
    ),
    gradient=_tanh_gradient, joins=net_losses, joined=NET, forbids=("ops",),
    mistakes=(
        mistake("the slope is taken at x and not at y",
                "dy/dx is 1 - y^2, with y the tanh of x. Here it is 1 - x^2.",
                "dy * (1 - y * y)", "dy * (1 - x.data * x.data)"),
        mistake("the square is missing",
                "dy/dx = 1 - y^2: at y = 0.5 that is 0.75, and 1 - y is 0.5.",
                "dy * (1 - y * y)", "dy * (1 - y)"),
        mistake("the chain rule's dy is missing",
                "Backward returns dLoss/dx = dy times dy/dx; this returns dy/dx alone, which is "
                "right "
                "only where dy happens to be 1.",
                "dy * (1 - y * y)", "(1 - y * y) + 0 * dy"),
        mistake("the sign is turned round",
                "tanh rises everywhere, so its slope is positive: 1 - y^2, not y^2 - 1.",
                "(1 - y * y)", "(y * y - 1)"),
        mistake("it is sigmoid's slope",
                "y (1 - y) is the derivative of a sigmoid; tanh's is 1 - y^2.",
                "(1 - y * y)", "(y * (1 - y))"),
        mistake("it is tangent's slope",
                "1 + y^2 is the derivative of tan. Of tanh it is 1 - y^2.",
                "(1 - y * y)", "(1 + y * y)"),
        mistake("the gradient of a tangent of another function: y of the wrong name",
                "The value is tan(x), not tanh(x).",
                "np.tanh(x.data)", "np.tan(x.data)"),
        mistake("no parent is recorded",
                "The tuple of parents says where the gradient goes; without x in it none arrives.",
                "(x,), lambda dy: (dy * (1 - y * y),)", "(), lambda dy: ()"),
    ),
)

PRODUCT = Exercise(
    name="product", title="Two parents: a product", kind="write",
    target="minigrad.ops.arithmetic:mul", chapter="tape.md", minutes=10, after=("tanh",),
    hints=(
        "z = a b. How fast does z grow with a, b held still? That, times dz, is a's gradient.",
        "Each parent's gradient is dy times the *other* one's value.",
        "Do not mind shapes that broadcast: the engine sums over what was stretched. Give the "
        "gradients in the order of the parents.",
    ),
    call=_two, run=through,
    shown="{f}(tensor({0}, requires_grad=True), tensor({1}, requires_grad=True))",
    holds=(
        Holds("a product with 1 changes nothing",
              lambda f, a, b: bool(np.array_equal(through(f, a, np.ones_like(b))["value"], a))),
        Holds("the order does not matter",
              lambda f, a, b: bool(np.allclose(through(f, a, b)["value"],
                                               through(f, b, a)["value"]))),
    ),
    gradient=_op_gradient("mul"), joins=net_losses, joined=NET,
    mistakes=(
        mistake("the two gradients are exchanged",
                "d(a b)/da is b. Here a's gradient is made with a itself.",
                "(dy * v, dy * u)", "(dy * u, dy * v)"),
        mistake("both gradients are made with the same factor",
                "a's gradient is dy b and b's is dy a: each gets the other.",
                "(dy * v, dy * u)", "(dy * v, dy * v)"),
        mistake("the chain rule's dy is missing",
                "What comes back is dLoss/da = dy times b, and not b alone.",
                "(dy * v, dy * u)", "(v + 0 * dy, u + 0 * dy)"),
        mistake("the gradients are those of a sum",
                "In a sum both parents get dy itself; in a product each gets dy times the other.",
                "(dy * v, dy * u)", "(dy, dy)"),
        mistake("one parent gets no gradient",
                "Both operands may be trained: both need their gradient.",
                "(dy * v, dy * u)", "(dy * v, None)"),
        mistake("the value is a sum",
                "The value itself is wrong: a + b in place of a b.",
                'np.multiply', 'np.add'),
        mistake("the second gradient has the wrong sign",
                "That is how a difference goes. In a product both signs are plus.",
                "(dy * v, dy * u)", "(dy * v, -dy * u)"),
        mistake("the slope is that of a quotient",
                "1 / b belongs to a / b. Of a b it is b.",
                "(dy * v, dy * u)", "(dy / v, dy * u)"),
    ),
)

EXERCISES = (SHAPES, TANH, PRODUCT)
