"""The tape: what an operation leaves behind, and how gradients walk back."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygpt.course.draw import Draw
from tinygpt.course.exercise import Exercise, Holds, Question, mistake
from tinygpt.course.exercises.work import NET, net_losses, op_gradient, through


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
    gradient=op_gradient("mul"), joins=net_losses, joined=NET,
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


def _quotient(draw: Draw) -> tuple[Any, ...]:
    if draw.integer(0, 4) == 4:
        whole = (1.0, -1.0, 2.0, -2.0, 3.0)
        return draw.array((3,), np.int64, whole), draw.array((3,), np.int64, whole)
    return _two(draw)


QUOTIENT = Exercise(
    name="quotient", title="A quotient, and integers", kind="write",
    target="minigrad.ops.arithmetic:div", chapter="tape.md", minutes=15, after=("product",),
    hints=(
        "y = u / v. Hold v still: y grows with u by 1 / v. Hold u still: by -u / v^2.",
        "Both gradients begin with dy / v; compute that once.",
        "Integers have no gradient: their quotient is float32, and a Tensor without parents.",
    ),
    call=_quotient, run=through,
    shown="{f}(tensor({0}, requires_grad=True), tensor({1}, requires_grad=True))",
    holds=(
        Holds("what is divided by itself is 1",
              lambda f, a, b: bool(np.allclose(through(f, b, b)["value"], 1))),
    ),
    gradient=op_gradient("div"), joins=net_losses, joined=NET,
    mistakes=(
        mistake("the divisor's gradient has the wrong sign",
                "A larger divisor makes the quotient smaller: -u / v^2.",
                "-du * (u / v)", "du * (u / v)"),
        mistake("the divisor's gradient is divided by v once too few",
                "d(u / v)/dv is -u / v^2: two factors of 1 / v.",
                "-du * (u / v)", "-du * u"),
        mistake("the divisor's gradient has lost its u",
                "d(u / v)/dv is -u / v^2; without u it is the slope of 1 / v.",
                "-du * (u / v)", "-du / v"),
        mistake("the gradients are those of a product",
                "Of u v the first gradient is dy v; of u / v it is dy / v.",
                "du = dy / v", "du = dy * v"),
        mistake("the two gradients are exchanged",
                "They are returned in the order of the parents: u's, then v's.",
                "return du, -du * (u / v)", "return -du * (u / v), du"),
        mistake("the chain rule's dy is missing",
                "Both gradients are dLoss/dy times a slope.",
                "du = dy / v", "du = 0 * dy + 1 / v"),
        mistake("integers divide to float64",
                "NumPy makes float64 of them; here everything is float32 unless asked otherwise.",
                "Tensor(y.astype(np.float32))", "Tensor(y)"),
        mistake("integers are divided to integers",
                "/ is true division: 1 / 2 is 0.5.",
                "Tensor(y.astype(np.float32))",
                "Tensor(np.floor_divide(a.data, b.data).astype(np.float32))"),
    ),
)


def _slope(of: Any, *values: Any) -> Any:
    """A function that computes the gradient of the first value with minigrad."""

    def truth() -> Any:
        from minigrad import tensor

        leaves = [tensor(np.array(v, np.float64), requires_grad=True) for v in values]
        of(*leaves).backward()
        grad = np.asarray(leaves[0].grad).tolist()
        return [int(g) for g in grad] if isinstance(grad, list) else int(grad)

    return truth


SLOPES = Exercise(
    name="slopes", title="Gradients, before you run them", kind="predict", target="",
    chapter="tape.md", minutes=10, after=("tanh",),
    hints=(
        "A gradient says by how much the result grows when that one value grows a little, the "
        "others held still.",
        "What is used twice gets two gradients, and they are added.",
        "A value that was stretched over many places by broadcasting is used that many times.",
    ),
    questions=(
        Question("a", "x = 3 and y = x * x. What is dy/dx?", _slope(lambda x: x * x, 3),
                 ((9, "That is y itself."),
                  (3, "x is used twice, and each use counts: 3 + 3."))),
        Question("b", "w = 2, x = 3, t = 5 and loss = (w * x - t) ** 2. What is dloss/dw?",
                 _slope(lambda w, x, t: (w * x - t) ** 2, 2, 3, 5),
                 ((2, "The chain goes on: w moves w * x by x, so there is a factor 3."),
                  (3, "The square's slope is 2 times what is squared."),
                  (1, "That is the loss."))),
        Question("c", "a = 2, b = 3 and z = a * b + a. What is dz/da?",
                 _slope(lambda a, b: a * b + a, 2, 3),
                 ((3, "a is used twice: in the product and by itself."),
                  (1, "The product depends on a as well."))),
        Question("d", "x = [-1, 2] and y = relu(x).sum(). The gradient of x, as a list?",
                 _slope(lambda x: x.relu().sum(), [-1, 2]),
                 (([1, 1], "relu is flat for a negative x: nothing comes back there."),
                  ([0, 2], "The slope of relu is 0 or 1; its value is not asked for."))),
        Question("e", "b = [1, 2, 3] is added to an array of shape (5, 3), and all of it is "
                 "summed up. The gradient of b, as a list?",
                 _slope(lambda b: (b + np.zeros((5, 3))).sum(), [1, 2, 3]),
                 (([1, 1, 1], "b was stretched over five rows: it is used five times."),
                  ([15, 15, 15], "Each element of b is used once a row, not once an element."))),
    ),
)


def _graph(draw: Draw) -> tuple[Any, ...]:
    """Parents of each node, by number; -1 is a leaf, -2 nothing; and the nodes to walk from."""
    count = draw.integer(1, 7)
    parents = [
        [draw.integer(-2, i - 1) for _ in range(draw.integer(0, 3))] for i in range(count)
    ]
    return parents, sorted({draw.integer(0, count - 1) for _ in range(draw.integer(1, 2))})


def _walk(f: Any, parents: list[list[int]], roots: list[int]) -> Any:
    from minigrad.engine import Node

    nodes: list[Any] = []
    for i, of in enumerate(parents):
        node = object.__new__(Node)
        node.number = 10 * i
        node.parents = tuple(
            nodes[p] if p >= 0 else None if p == -2 else "a leaf" for p in of
        )
        nodes.append(node)
    return [node.number // 10 for node in f([nodes[r] for r in roots])]


def _parents_first(f: Any, parents: list[list[int]], roots: list[int]) -> bool:
    order = _walk(f, parents, roots)
    return all(p in order[:at] for at, i in enumerate(order) for p in parents[i] if p >= 0)


TAPE_ORDER = Exercise(
    name="tape-order", title="The order of the walk back", kind="write",
    target="minigrad.engine:_topological", chapter="tape.md", minutes=20, after=("slopes",),
    hints=(
        "First collect: all nodes that can be reached from the roots over .parents. A parent may "
        "be "
        "a Node, a leaf or None; only Nodes are walked.",
        "A set of those you have seen keeps a node from coming twice; a list as a stack in place "
        "of "
        "recursion stands a chain of 100,000.",
        "Parents were made before their children, so sorting by .number is enough.",
    ),
    call=_graph, run=_walk, shown="[n.number for n in {f}(roots)]  # parents {0}, roots {1}",
    holds=(
        Holds("parents come before their children", _parents_first),
        Holds("no node comes twice",
              lambda f, p, r: len(set(_walk(f, p, r))) == len(_walk(f, p, r))),
    ),
    joins=net_losses, joined=NET, inputs=120,
    mistakes=(
        mistake("children come first",
                "The walk takes nodes from the end of the list, so parents stand at its begin.",
                "node.number)", "-node.number)"),
        mistake("only the roots' own parents are found",
                "What is found must be looked into as well: put it on the stack.",
                "                stack.append(parent)\n", ""),
        mistake("only the first root is walked",
                "backward may be called for several tensors: all are roots.",
                "set(roots)", "set(roots[:1])"),
        mistake("a node comes once for each of its children",
                "A node that two others use is still one node; its closure may run once only.",
                "set(roots)", "list(roots)", "seen.add", "seen.append",
                "type(parent) is Node and parent not in seen", "type(parent) is Node"),
        mistake("the roots themselves are missing",
                "The walk begins at the roots; they belong to it.",
                "sorted(seen,", "sorted(seen - set(roots),"),
        mistake("it is the order in which they were found",
                "Found first is not made first: with two ways to a node, a parent can be found "
                "before "
                "one of its children.",
                "set(roots)", "list(roots)", "seen.add", "seen.append",
                "return sorted(seen, key=lambda node: node.number)", "return seen[::-1]"),
        mistake("only the first parent is followed",
                "An operation has as many parents as operands.",
                "stack.pop().parents:", "stack.pop().parents[:1]:"),
        mistake("leaves are taken for nodes",
                "A leaf has no parents: it is where the walk ends.",
                "type(parent) is Node and", "parent is not None and"),
    ),
)


EXERCISES = (SHAPES, TANH, PRODUCT, QUOTIENT, SLOPES, TAPE_ORDER)
