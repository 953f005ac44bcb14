"""What a prompt is worth: templates x shots x orders on one set of questions, in one table.

    for row in table(subject, questions, ["question", "short"], shots=(0, 2, 5), orders=3): ...

The same model on the same questions may gain or lose ten points by how it is asked, by which
examples stand before, and by their order. Whoever compares two models with one prompt compares the
prompt as well; so here the prompt varies and the model stays. Every cell is asked the same
questions (those that are examples in no cell), so that cells can be compared pair by pair with the
first one.

Read first: multiple_choice.py, templates.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tinygpt.errors import UserError
from tinygpt.evaluation.intervals import Difference, Interval, difference, in_clusters, share
from tinygpt.evaluation.multiple_choice import DEFAULT, ChoiceSuite, Way, check, right
from tinygpt.evaluation.questions import Question
from tinygpt.evaluation.records import Wrong
from tinygpt.evaluation.subject import Subject
from tinygpt.evaluation.suite import evaluate
from tinygpt.evaluation.suites.files import fingerprint
from tinygpt.evaluation.templates import find_template

SEED = 20


class Cell(NamedTuple):
    """One way of asking.  order: which draw of the examples, from 0.

    refused: why there is no accuracy, "" where there is.
    against: the first cell, on the same questions.
    """

    template: str
    shots: int
    order: int
    accuracy: Interval | None
    against: Difference | None
    refused: str = ""


def table(
    subject: Subject, questions: Sequence[Question | Wrong], templates: Sequence[str],
    shots: Sequence[int] = (0, 2, 5), orders: int = 3, score: str = DEFAULT,
    say: Callable[[str, float, float], object] | None = None,
) -> Iterator[Cell]:
    """The cells, templates first, then shots, then orders; without shots there is one order.

    Raises UserError for fewer questions than the examples and one to ask, or an unknown template.
    """
    good = [one for one in questions if isinstance(one, Question) and not one.mass]
    most = max(shots)
    if len(good) <= most:
        raise UserError(f"{most} examples of {len(good)} questions leave none to ask. Ask for "
                        "fewer: --shots.")
    rng = np.random.default_rng(SEED)
    drawn = rng.permutation(len(good))[:most]
    shown = [good[i] for i in drawn]
    clusters = {one.cluster for one in shown}
    left = [one for one in good if one.cluster not in clusters]
    ways = [(name, count, order) for name in templates for count in shots
            for order in range(orders if count else 1)]
    first: list[float] | None = None
    for number, (name, count, order) in enumerate(ways):
        if say is not None:
            say(f"asking by {name}, {count} shots", number, len(ways))
        mixed = [shown[i] for i in np.random.default_rng([SEED, order]).permutation(count)]
        way = Way(find_template(name), score=score)
        suite = ChoiceSuite("prompts", left, way, fingerprint(left), shown=mixed)
        lines = [line for line in evaluate(suite, subject).lines if "left_out" not in line]
        try:
            if len(lines) < len(left):
                raise UserError(f"{len(left) - len(lines)} questions could not be asked so.")
            check(lines, subject.name)
        except UserError as error:
            yield Cell(name, count, order, None, None, str(error))
            continue
        marks = [right(line, score) for line in lines]
        names = [line["cluster"] for line in lines]
        first = marks if first is None else first
        (x, counts), (y, _) = in_clusters(first, names), in_clusters(marks, names)
        rng = np.random.default_rng(SEED)
        yield Cell(name, count, order, share(marks, names, rng), difference(x, y, counts, rng))


def spread(cells: Sequence[Cell]) -> str:
    """What the choice of a prompt was worth, in a sentence."""
    known = [cell for cell in cells if cell.accuracy is not None]
    if len(known) < 2:
        return "Too few ways could be asked to say what a prompt is worth."
    best = max(known, key=lambda cell: cell.accuracy.value)  # type: ignore[union-attr]
    worst = min(known, key=lambda cell: cell.accuracy.value)  # type: ignore[union-attr]
    seen = sum(cell.against is not None and cell.against.seen for cell in known)
    high, low = best.accuracy, worst.accuracy
    assert high is not None and low is not None
    return (
        f"From the worst way ({worst.template}, {worst.shots} shots: {low.value:.1%}) to the best "
        f"({best.template}, {best.shots} shots: {high.value:.1%}) the prompt is worth "
        f"{100 * (high.value - low.value):.1f} points; {seen} of {len(known)} ways surely "
        f"differ{'s' * (seen == 1)} from the first. The best of many is lucky too: choose it on "
        "other questions than you report."
    )
