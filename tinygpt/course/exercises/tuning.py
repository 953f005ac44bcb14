"""Tuning a model: which tokens teach, samples in a row, thin factors beside frozen weights."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from tinygpt.course.draw import Draw
from tinygpt.course.exercise import Exercise, Holds, mistake
from tinygpt.course.exercises.work import through


def _answer(draw: Draw) -> tuple[Any, ...]:
    length = draw.integer(2, 7)
    return draw.ids((length,), 9) + 1, draw.ids((length,), 2).astype(bool)


def _masked(f: Any, ids: np.ndarray, learned: np.ndarray) -> Any:
    from tinygpt.finetuning.rendering import Sample

    return f(Sample(ids, learned))


def _batch() -> Any:
    from tinygpt.finetuning.packing import batch_of
    from tinygpt.finetuning.rendering import Sample

    samples = [Sample(np.arange(1, n), np.arange(1, n) > n // 2) for n in (4, 6, 5)]
    return list(batch_of([samples[:2], samples[2:]]))


ANSWER_MASK = Exercise(
    name="answer-mask", title="Only answers are learned", kind="write",
    target="tinygpt.finetuning.packing:masked_targets", chapter="finetuning.md", minutes=10,
    after=("windows",),
    about="sample.ids: (T,) int64; sample.learned: (T,) bool, the tokens that the model is to say.",
    hints=(
        "The target of place t is token t + 1.",
        "The mask is of tokens that are said, so it moves with them.",
        "np.where: the token, or IGNORE.",
    ),
    call=_answer, run=_masked, shown="{f}(Sample({0}, {1}))", joins=_batch, joined="a packed batch",
    mistakes=(
        mistake("the mask does not move with the targets",
                "It says which token is learned; the target of place t is token t + 1.",
                "sample.learned[1:]", "sample.learned[:-1]"),
        mistake("the target is the token itself",
                "What follows is learned, not what is there.",
                "sample.ids[1:]", "sample.ids[:-1]"),
        mistake("questions are learned, answers ignored",
                "learned means learned.", "sample.learned[1:]", "~sample.learned[1:]"),
        mistake("what is ignored becomes 0",
                "0 is a token like any other; IGNORE is none.",
                "sample.ids[1:], IGNORE", "sample.ids[1:], 0"),
        mistake("nothing is masked",
                "Then it learns to write questions as well.",
                "np.where(sample.learned[1:], sample.ids[1:], IGNORE)", "sample.ids[1:]"),
        mistake("targets are as many as tokens",
                "Nothing follows the last token: T - 1 targets.",
                "np.where(sample.learned[1:], sample.ids[1:], IGNORE)",
                "np.where(sample.learned, sample.ids, IGNORE)"),
        mistake("what is ignored is cut out",
                "Every place has a target, or IGNORE.",
                "np.where(sample.learned[1:], sample.ids[1:], IGNORE)",
                "sample.ids[1:][sample.learned[1:]]"),
    ),
)


def _lengths(draw: Draw) -> tuple[Any, ...]:
    if draw.integer(0, 9) == 9:  # more rows than may be open
        length = 10
        sizes = [9] * (60 + draw.integer(0, 20))
        return [*sizes, *(draw.integer(1, 3) for _ in range(8))], length
    length = draw.integer(4, 10)
    return [draw.integer(1, length) for _ in range(draw.integer(0, 9))], length


def _fits(f: Any, sizes: list[int], length: int) -> bool:
    rows = f(sizes, length)
    whole = sorted(n for row in rows for n in row) == list(range(len(sizes)))
    return whole and all(sum(sizes[n] for n in row) <= length for row in rows)


PACKING = Exercise(
    name="packing", title="Samples side by side", kind="write",
    target="tinygpt.finetuning.packing:packed", chapter="finetuning.md", minutes=30,
    after=("answer-mask",),
    about="A sample goes into the fullest row that has room for it, else into a new one. Of "
          "equally "
    "full rows, the oldest. A full row is closed; of more than OPEN rows, the fullest is closed "
    "(again the oldest of equals).",
    hints=(
        "A dictionary of open rows: row -> places left. Dictionaries keep the order of insertion.",
        "The fullest row with room has the least room among those with enough.",
        "Rows hold the samples' numbers, not their sizes.",
    ),
    call=_lengths, inputs=150,
    holds=(Holds("every sample is in one row, and no row is too long", _fits),),
    mistakes=(
        mistake("the first row with room is taken, not the fullest",
                "A row that is nearly full has few chances left: fill it.",
                "min(fitting, key=lambda row: room[row])", "fitting[0]"),
        mistake("the emptiest row is taken",
                "Then no row ever fills up.",
                "row = min(fitting, key", "row = max(fitting, key"),
        mistake("a row that would be just full is refused",
                "What fits exactly is best.", "left >= needed", "left > needed"),
        mistake("a row with any room is good enough",
                "The sample must fit.", "left >= needed", "left > 0"),
        mistake("nobody counts what is left",
                "A sample takes its places.", "        room[row] -= needed\n", ""),
        mistake("long samples go first",
                "They are dealt out in the order given: it was shuffled on purpose.",
                "in enumerate(sizes)", "in sorted(enumerate(sizes), key=lambda one: -one[1])"),
        mistake("rows hold sizes", "They hold the samples' numbers.",
                "rows.append([number])", "rows.append([needed])"),
        mistake("every sample gets a row",
                "That is padding, not packing.",
                "if fitting:", "if False:"),
        mistake("no row is ever closed",
                "With more than OPEN rows open, the search would take longer and longer.",
                "if len(room) > OPEN:", "if False:"),
    ),
)


def _factors(draw: Draw) -> tuple[Any, ...]:
    rank, start, rows = draw.integer(1, 3), 0, []
    for _ in range(draw.integer(1, 3)):
        start += draw.integer(0, 2)
        stop = start + draw.integer(1, 3)
        rows.append((start, stop))
        start = stop
    out = start + draw.integer(0, 2)
    B = draw.array((sum(b - a for a, b in rows), rank), draw.dtype())
    return B, rows, out, rank, draw.choice((2.0, 1.0, 0.5))


def _spread_check(draw: Draw) -> Any:
    spread = importlib.import_module("tinygpt.adapters.lora").spread
    return lambda B: spread(B, [(0, 2), (3, 4)], 5, 2, 2.0), [draw.array((3, 2))]


LORA = Exercise(
    name="lora", title="LoRA: thin factors in blocks", kind="write",
    target="tinygpt.adapters.lora:spread", chapter="lora.md", minutes=30,
    after=("linear-gradient",),
    hints=(
        "Part i has rows start .. stop of the result, and columns i rank .. (i + 1) rank. In B its "
        "rows come right behind those of the parts before it.",
        "Begin with zeros (out, P rank) in B's dtype, and put scale times each part in its place.",
        "Backward picks the same places out of dy, times the scale, into a gradient of B's shape.",
    ),
    call=_factors, run=through, shown="{f}(tensor({0}, requires_grad=True), {rest})",
    gradient=_spread_check, inputs=100,
    mistakes=(
        mistake("forward forgets the scale", "scale B.",
                "B.data[of_B] * B.dtype.type(scale)", "B.data[of_B]"),
        mistake("backward forgets the scale",
                "What was multiplied by scale has a gradient multiplied by scale.",
                "dy[there] * B.dtype.type(scale)", "dy[there]"),
        mistake("all parts share their columns",
                "A part's factor meets its own A only: columns i rank to (i + 1) rank.",
                "slice(i * rank, (i + 1) * rank)", "slice(0, rank)"),
        mistake("parts lie one behind the other in the result",
                "Each has its own rows there: start to stop.",
                "(slice(start, stop), slice(i", "(slice(end - (stop - start), end), slice(i"),
        mistake("the result is float64", "It has B's dtype.",
                "np.zeros((out, len(rows) * rank), B.dtype)", "np.zeros((out, len(rows) * rank))"),
        mistake("backward divides by the scale", "The derivative of scale B is scale.",
                "dy[there] * B.dtype.type(scale)", "dy[there] / B.dtype.type(scale)"),
        mistake("the gradient's parts are turned round",
                "The parts come in their order.",
                "dB[of_B] = dy[there]", "dB[of_B][::-1] = dy[there]"),
    ),
)


EXERCISES = (ANSWER_MASK, PACKING, LORA)
