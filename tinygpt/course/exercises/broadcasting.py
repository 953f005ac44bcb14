"""Broadcasting: what was stretched is summed on the way back."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygpt.course.draw import Draw
from tinygpt.course.exercise import Exercise, Holds, mistake
from tinygpt.course.exercises.work import NET, net_losses, op_gradient, through


def _stretched(draw: Draw) -> tuple[Any, ...]:
    """A gradient, and a shape that it came from by broadcasting; sometimes one that it did not."""
    shape = draw.shape(0, 3, 3)
    small = tuple(1 if draw.integer(0, 2) == 2 else n for n in shape)
    small = small[draw.integer(0, len(small)) :] if draw.flag() else small
    if small and draw.integer(0, 9) == 9:
        small = (small[0] + 3, *small[1:]) if draw.flag() else (2, *shape)
    return draw.array(shape, draw.dtype()), small


UNBROADCAST_MISTAKES = (
    mistake("the mean is taken, not the sum",
            "Each place that x was copied to adds its own share to the loss: shares are added.",
            "grad.sum(", "grad.mean("),
    mistake("axes that were put in front are not summed",
            "(3,) became (2, 3) by a new first axis: its gradient is summed over that axis.",
            "tuple(range(extra)) + tuple(", "tuple("),
    mistake("axes that were stretched from 1 are not summed",
            "(2, 1) became (2, 3): the gradient is summed over the last axis, which stays, with 1.",
            "if n == 1 and grad.shape[extra + i] != 1", "if n < 1"),
    mistake("one of the copies is taken for all",
            "All copies send a gradient back; the first one's alone is too little.",
            "grad.sum(axis=repeated, keepdims=True)",
            "grad[tuple(slice(0, 1) if i in repeated else slice(None) for i in range(grad.ndim))]"),
    mistake("the largest is taken",
            "Gradients of copies are added up.",
            "grad.sum(axis=repeated, keepdims=True)", "grad.max(axis=repeated, keepdims=True)"),
    mistake("axes are counted without those in front",
            "Axis i of the small shape is axis extra + i of the gradient.",
            "        extra + i for i, n", "        i for i, n"),
    mistake("everything is summed into one number",
            "Only the axes along which x was repeated are summed.",
            "grad.sum(axis=repeated, keepdims=True).reshape(shape)",
            "np.full(shape, grad.sum(), grad.dtype)"),
    mistake("the sum is cut to the shape in place of reshaped",
            "After the sum an axis that stood in front is gone, not cut off.",
            "grad.sum(axis=repeated, keepdims=True).reshape(shape)",
            "np.resize(grad, shape)"),
)

UNBROADCAST = Exercise(
    name="unbroadcast", title="Undoing a broadcast", kind="write",
    target="minigrad.engine:unbroadcast", chapter="broadcasting.md", minutes=20,
    after=("product",),
    hints=(
        "y = broadcast(x) copies numbers of x to several places. Each copy gets a gradient; what "
        "does the original get?",
        "Two kinds of axes were repeated: those in front that x has not, and those where x has "
        "length 1 and the gradient more.",
        "Sum over all of them at once with keepdims=True, then reshape to x's shape. A shape that "
        "could not have been broadcast is a ValueError.",
    ),
    call=_stretched,
    holds=(
        Holds("the sum over all elements stays",
              lambda f, g, s: bool(np.isclose(f(g, s).sum(), g.sum()))),
    ),
    gradient=op_gradient("mul"), joins=net_losses, joined=NET, inputs=150,
    mistakes=UNBROADCAST_MISTAKES,
)

UNBROADCAST_HUNT = Exercise(
    name="unbroadcast-hunt", title="A test for unbroadcast", kind="hunt",
    target="minigrad.engine:unbroadcast", chapter="gradients.md", minutes=20,
    after=("unbroadcast",),
    hints=(
        "One example with numbers that all differ tells more than ten of ones.",
        "Three cases: an axis in front, a stretched axis in the middle, both at once.",
        "What should happen for a shape that does not fit? Nothing to sum is a case too.",
    ),
    begins="    y = unbroadcast(np.ones((2, 3)), (3,))\n    assert y.shape == (3,)\n",
    mistakes=UNBROADCAST_MISTAKES,
    equals=(
        mistake("written with np.add.reduce", "It is what sum calls.",
                "grad.sum(axis=repeated, keepdims=True)",
                "np.add.reduce(grad, axis=repeated, keepdims=True)"),
        mistake("with another message in its ValueError", "The wording is no behaviour.",
                "does not fit a tensor of shape", "cannot be of a tensor of shape"),
        mistake("returning a copy", "Nobody is promised that it is no copy.",
                "keepdims=True).reshape(shape)", "keepdims=True).reshape(shape).copy()"),
    ),
)


def _reduced(draw: Draw) -> tuple[Any, ...]:
    whole = draw.integer(0, 5) == 5
    x = draw.array(draw.shape(1, 3, 3), np.int64 if whole else draw.dtype(), (0.0, 1.0, 2.0, -3.0))
    if not whole:
        x = x + draw.array(x.shape, x.dtype) / 2
    axis = draw.choice((None, 0, -1, tuple(range(x.ndim))[:2]))
    keepdims = draw.flag()
    return (x, axis, keepdims) if keepdims or axis is not None else (x,)


def _mean_gradient(draw: Draw) -> Any:
    from minigrad import ops

    axis = draw.choice((0, -1, None))
    return lambda x: ops.mean(x, axis), [draw.array((3, 4), np.float64)]


MEAN = Exercise(
    name="mean", title="A mean, forward and back", kind="write",
    target="minigrad.ops.reductions:mean", chapter="broadcasting.md", minutes=15,
    after=("unbroadcast",),
    hints=(
        "Each element of a group counts 1 / n in its mean: that is its share of the gradient.",
        "_over(x, axis) gives the axes and `kept`, the shape with each of them of length 1: "
        "reshape "
        "dy to that and it broadcasts.",
        "np.broadcast_to repeats without a copy; n is _count(shape, axes), in x's dtype, lest "
        "float32 become float64.",
    ),
    call=_reduced, run=through, shown="{f}(tensor({0}, requires_grad=True), {rest})",
    holds=(
        Holds("the mean lies between the least and the largest",
              lambda f, x, *rest: bool(
                  (through(f, x, *rest)["value"] <= x.max() + 1e-6).all())),
    ),
    gradient=_mean_gradient, joins=net_losses, joined=NET, forbids=("sum",), inputs=100,
    mistakes=(
        mistake("the gradient is that of a sum",
                "Each element counts 1 / n in the mean, so dy is divided by n.",
                "dy.reshape(kept) / count", "dy.reshape(kept)"),
        mistake("the gradient is divided by the size of all of x",
                "n is how many elements went into one mean, not how many there are.",
                "_count(shape, axes)", "max(x.data.size, 1)"),
        mistake("the value is a sum",
                "A mean is the sum divided by how many there are.",
                "x.data.mean(", "x.data.sum("),
        mistake("keepdims is always on",
                "Without keepdims the reduced axes are gone from the result.",
                "keepdims=keepdims)", "keepdims=True)"),
        mistake("the gradient is multiplied by n",
                "More elements, less weight for each: divide.",
                "/ count", "* count"),
        mistake("dy is not put back where the axes were",
                "dy lacks the reduced axes; reshaped to `kept` it broadcasts the right way.",
                "dy.reshape(kept)", "dy"),
        mistake("integers are averaged in float64",
                "floats(x) makes float32 of integers, as everywhere here.",
                "    x = floats(x)\n", ""),
        mistake("the axis is ignored",
                "Only the axes asked for are averaged over.",
                "axis=axes, keepdims", "keepdims"),
    ),
)


EXERCISES = (UNBROADCAST, MEAN, UNBROADCAST_HUNT)
