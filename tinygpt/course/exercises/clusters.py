"""Many machines: what each keeps, who works when, and how large a model should be."""

from __future__ import annotations

from typing import Any

from tinygpt.course.draw import Draw
from tinygpt.course.exercise import Exercise, Holds, mistake


def _sizes(draw: Draw) -> tuple[Any, ...]:
    return (draw.choice((1.0, 100.0, 7.5e9)), draw.choice((1, 2, 3, 64)),
            draw.choice((0, 1, 2, 3, 3, 2, 1, 4, -1)))


def _less(f: Any, parameters: float, data: int, zero: int) -> bool:
    return not 0 < zero < 4 or sum(f(parameters, data, zero)) <= sum(f(parameters, data, zero - 1))


ZERO = Exercise(
    name="zero", title="What each rank keeps", kind="write",
    target="tinygpt.cluster.memory:states", chapter="cluster.md", minutes=15,
    about="WEIGHT, GRADIENT and OPTIMIZER are the bytes of a parameter where a rank keeps all of "
    "it: 2, 2 and 12. ZeRO's stage 1 divides the optimizer's part among the ranks, 2 the gradients "
    "too, 3 the weights as well. Any other stage is a ValueError.",
    hints=(
        "Three products: parameters times bytes times a share that is 1 or 1 / data.",
        "Each of the three has the stage from which on it is divided: 3, 2, 1.",
        "zero >= stage says whether it is. First of all refuse what is not 0, 1, 2 or 3.",
    ),
    call=_sizes, inputs=120,
    holds=(Holds("no stage keeps more than the one before it", _less),),
    mistakes=(
        mistake("the stages are taken in the other order",
                "The optimizer's part is the largest and divided first; the weights are the last.",
                "(3, 2, 1)", "(1, 2, 3)"),
        mistake("only one of the three is divided",
                "Each stage also divides what those before it did: >=, not ==.",
                "zero >= stage", "zero == stage"),
        mistake("nothing is divided",
                "That is plain data parallel, stage 0.",
                "1 / data if zero >= stage else 1.0", "1.0"),
        mistake("everything is divided at once",
                "At stages 1 and 2 each rank still has all weights.",
                "1 / data if zero >= stage else 1.0", "1 / data"),
        mistake("the gradients wait for stage 3",
                "Stage 2 divides the gradients.",
                "(3, 2, 1)", "(3, 3, 1)"),
        mistake("a part is multiplied by the ranks",
                "Each of them has one part of `data`.",
                "1 / data if", "data if"),
        mistake("a stage 4 is let through",
                "There are 0 to 3: another number is a mistake of the caller's.",
                "range(4)", "range(5)"),
        mistake("gradients are given where weights belong",
                "Weights, gradients, optimizer, in this order.",
                "return weights, gradients, optimizer", "return gradients, weights, optimizer"),
    ),
)


def _pipeline(draw: Draw) -> tuple[Any, ...]:
    count = draw.integer(0, 9)
    return count, draw.integer(0, count)


def _listed(f: Any, count: int, warm: int) -> list[tuple[bool, int]]:
    return list(f(count, warm, lambda forward, k: (forward, k)))


def _forward_first(f: Any, count: int, warm: int) -> bool:
    tasks = _listed(f, count, warm)
    return all(tasks.index((True, k)) < tasks.index((False, k)) for k in range(count))


def _kept(f: Any, count: int, warm: int) -> bool:
    kept = most = 0
    for forward, _ in _listed(f, count, warm):
        kept += 1 if forward else -1
        most = max(most, kept)
    return most <= warm + 1


def _bubbles() -> Any:
    from tinygpt.cluster import schedule

    orders = (schedule.one_f_one_b(4, 8), schedule.interleaved(3, 6, 2))
    return [schedule.makespan(schedule.simulate(order, 1.0, 2.0)) for order in orders]


TURNS = Exercise(
    name="one-f-one-b", title="One forward, one backward", kind="write",
    target="tinygpt.cluster.schedule:turns", chapter="cluster.md", minutes=20,
    hints=(
        "Three parts, one list: forwards alone, pairs, backwards alone. `count` of each in all.",
        "task(True, k) is the k-th forward. The warm-up has those from 0 to warm - 1.",
        "Then for k from warm on: the k-th forward, and the backward that is `warm` behind it. At "
        "the end `warm` backwards are left.",
    ),
    call=_pipeline, run=_listed, shown="{f}({0}, {1}, lambda forward, k: (forward, k))", inputs=80,
    joins=_bubbles, joined="two pipelines",
    holds=(
        Holds("each forward comes before its backward", _forward_first),
        Holds("no more than warm + 1 microbatches are kept", _kept),
    ),
    mistakes=(
        mistake("the backward comes first in each pair",
                "A stage without a warm-up would begin with a backward of nothing.",
                "[task(True, k), task(False, k - warm)]", "[task(False, k - warm), task(True, k)]"),
        mistake("each forward is followed by its own backward",
                "Its backward comes when the later stages are through, `warm` forwards after.",
                "task(False, k - warm)", "task(False, k)"),
        mistake("all forwards come first",
                "That keeps every microbatch's activations: it is GPipe's order.",
                "tasks += [task(True, k), task(False, k - warm)]", "tasks += [task(True, k)]",
                "range(count - warm, count)", "range(count)"),
        mistake("the backwards at the end are missing",
                "`warm` forwards have no backward yet when the pairs are over.",
                "return tasks + [task(False, k) for k in range(count - warm, count)]",
                "return tasks"),
        mistake("the last backwards run in reverse",
                "The microbatches come back in the order in which they went.",
                "range(count - warm, count)", "reversed(range(count - warm, count))"),
        mistake("the warm-up is one too short",
                "Then a forward is missing, which later stages wait for.",
                "for k in range(warm)]", "for k in range(max(warm - 1, 0))]"),
        mistake("one backward at the end is forgotten",
                "They begin at count - warm, where the pairs have stopped.",
                "range(count - warm, count)", "range(count - warm + 1, count)"),
    ),
)


def _law(draw: Draw) -> tuple[Any, ...]:
    powers = (0.5, 0.25, 0.34, 0.28, 1.0)
    return ((draw.choice((0.0, 1.7)), draw.choice((1.0, 406.0)), draw.choice(powers),
             draw.choice((1.0, 410.0)), draw.choice(powers)),
            draw.choice((6.0, 6e6, 1e15)))


def _best(f: Any, constants: tuple[float, ...], operations: float) -> tuple[float, float]:
    from tinygpt.planning.scaling import Fit

    parameters, tokens = f(Fit(*constants), operations)
    return float(parameters), float(tokens)


def _spent(f: Any, constants: tuple[float, ...], operations: float) -> bool:
    parameters, tokens = _best(f, constants, operations)
    return abs(6 * parameters * tokens / operations - 1) < 1e-6


def _no_better(f: Any, constants: tuple[float, ...], operations: float) -> bool:
    from tinygpt.planning.scaling import Fit

    fit, (parameters, _) = Fit(*constants), _best(f, constants, operations)
    losses = [fit.loss(n, operations / 6 / n) for n in (0.9 * parameters, parameters,
                                                        1.1 * parameters)]
    return bool(losses[1] <= min(losses) + 1e-12)


OPTIMAL = Exercise(
    name="optimal-size", title="The best size for a budget", kind="write",
    target="tinygpt.planning.scaling:Fit.optimal", chapter="cluster.md", minutes=30,
    hints=(
        "D is operations / 6 / N: put it into the loss, and only N is left. Set the derivative to "
        "0.",
        "A a N^-a = B b D^-b: at the best size both terms shrink at the same pace.",
        "So N^(a + b) = (a A / (b B)) (operations / 6)^b. Take the (a + b)-th root.",
    ),
    call=_law, run=_best, shown="{f}(Fit{0}, {1})", inputs=80,
    holds=(
        Holds("6 N D is what there is to spend", _spent),
        Holds("a tenth larger or smaller is no better", _no_better),
    ),
    mistakes=(
        mistake("the 6 is forgotten in the size",
                "6 operations for each parameter and each token.",
                "(operations / 6) **", "operations **"),
        mistake("the powers are taken the wrong way round",
                "N grows with the power b / (a + b): the steeper the data's term, the larger N.",
                "(b / (a + b))", "(a / (a + b))"),
        mistake("the ratio is upside down",
                "A stands with a, above; B with b, below.",
                "a * self.size / (b * self.data)", "b * self.data / (a * self.size)"),
        mistake("the derivative's factors a and b are missing",
                "d/dN of A N^-a is -a A N^-a / N.",
                "a * self.size / (b * self.data)", "self.size / self.data"),
        mistake("the root is forgotten",
                "It is N^(a + b) that equals this.",
                "** (1 / (a + b))", "** 1"),
        mistake("the tokens forget the 6",
                "operations = 6 N D.",
                "operations / 6 / parameters", "operations / parameters"),
        mistake("it is twenty tokens for each parameter",
                "That is a rule for one law; this one has its own constants.",
                "ratio * (operations / 6) ** (b / (a + b))", "(operations / 120) ** 0.5"),
    ),
)

EXERCISES = (ZERO, TURNS, OPTIMAL)
