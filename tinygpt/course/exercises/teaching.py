"""Fine-tuning: who sees whom in a packed row, and what an adapter comes to in the end."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygpt.course.draw import Draw
from tinygpt.course.exercise import Exercise, Question, mistake
from tinygpt.course.exercises.tuning import PACKING

PACKING_OF = "tinygpt.finetuning.packing"


def _row(draw: Draw) -> tuple[Any, ...]:
    sizes = [draw.integer(1, 4) for _ in range(draw.integer(1, 4))]
    return sizes, sum(sizes) + draw.integer(0, 3)


def _seen() -> Any:
    """What a model makes of packed rows, whose samples must not see each other."""
    from tinygpt.finetuning.packing import batch_of
    from tinygpt.finetuning.rendering import Sample
    from tinygpt.model import ModelShape, build

    shape = ModelShape(vocab_size=9, context=16, n_layers=1, n_heads=2, d_model=16)
    model: Any = build(shape, np.random.default_rng(0)).eval()
    samples = [Sample(np.arange(1, n), np.ones(n - 1, bool)) for n in (4, 6, 5)]
    batch = batch_of([samples[:2], samples[2:]])
    return model.hidden(batch.ids, starts=batch.starts).data


STARTS = Exercise(
    name="row-starts", title="Neighbours that do not see each other", kind="write",
    target=f"{PACKING_OF}:starts_of", chapter="finetuning.md", minutes=15,
    after=("packing", "attention-scores"),
    hints=(
        "The running sum of the sizes says where each sample ends; less its size, where it begins.",
        "np.repeat(begins, sizes): each place of a sample has the sample's beginning.",
        "Behind the last sample each place begins at itself, so that padding sees no sample.",
    ),
    call=_row, inputs=120, joins=_seen, joined="a model that reads a packed row",
    mistakes=(
        mistake("a sample begins at its end",
                "The running sum is where samples end: less their sizes.",
                "np.repeat(ends - sizes, sizes)", "np.repeat(ends, sizes)"),
        mistake("samples are numbered",
                "Where it begins, not which it is: attention compares places.",
                "np.repeat(ends - sizes, sizes)", "np.repeat(np.arange(len(sizes)), sizes)"),
        mistake("it says how far into its sample a place is",
                "Where the sample begins.",
                "np.repeat(ends - sizes, sizes)",
                "np.arange(ends[-1]) - np.repeat(ends - sizes, sizes)"),
        mistake("all samples are one",
                "Then each sees those before it in the row.",
                "np.repeat(ends - sizes, sizes)", "np.zeros(ends[-1], np.int64)"),
        mistake("padding belongs to the last sample",
                "It would learn nothing, but take time and positions: it sees itself alone.",
                "np.arange(ends[-1], width)",
                "np.full(width - ends[-1], ends[-1] - sizes[-1])"),
        mistake("padding is a sample of its own",
                "Each place of it begins at itself.",
                "np.arange(ends[-1], width)", "np.full(width - ends[-1], ends[-1])"),
        mistake("padding begins at 0",
                "It would see the whole row.",
                "np.arange(ends[-1], width)", "np.zeros(width - ends[-1], np.int64)"),
    ),
)

PACKING_HUNT = Exercise(
    name="packing-hunt", title="A test for packing", kind="hunt", target=PACKING.target,
    chapter="finetuning.md", minutes=25, after=("packing",), about=PACKING.about,
    hints=(
        "Sizes whose rows you can say by hand; a sample that fits exactly; two rows with room.",
        "The numbers of samples are asked for, in the order in which they were dealt.",
        "More than OPEN rows (64): sixty-six rows with a little room left, and then a sample that "
        "only fits into the fullest of them, which is closed by then.",
    ),
    begins="    assert packed([3, 2], 5) == [[0, 1]]\n", mistakes=PACKING.mistakes,
    equals=(
        mistake("with the comparison turned round", "The same.",
                "left >= needed", "needed <= left"),
        mistake("with truth for zero", "A full row.",
                "if room[row] == 0:", "if not room[row]:"),
        mistake("with the room looked up by get", "The same number.",
                "min(fitting, key=lambda row: room[row])", "min(fitting, key=room.__getitem__)"),
    ),
)


def _matrices(draw: Draw) -> tuple[Any, ...]:
    out, inner, rank = draw.integer(1, 4), draw.integer(1, 4), draw.integer(1, 3)
    dtype = draw.dtype()
    shapes = ((out, inner), (out, rank), (rank, inner))
    return tuple(draw.array(shape, dtype) for shape in shapes)


def _merged() -> Any:
    """What an adapted model says, once its adapters are merged into it."""
    from tinygpt.adapters.adapt import adapt, merge
    from tinygpt.adapters.config import MethodConfig
    from tinygpt.model import ModelShape, build

    shape = ModelShape(vocab_size=9, context=16, n_layers=1, n_heads=2, d_model=16)
    model, rng = build(shape, np.random.default_rng(0)).eval(), np.random.default_rng(1)
    adapt(model, MethodConfig("lora", rank=2, targets=("q", "v", "up")), rng)
    for one in model.parameters():
        if one.requires_grad:
            one.data += rng.standard_normal(one.shape).astype(np.float32) / 4
    merge(model)
    return model(np.arange(1, 9)[None]).data


MERGED = Exercise(
    name="merged", title="One matrix again", kind="write",
    target="tinygpt.adapters.lora:merged_weight", chapter="lora.md", minutes=10, after=("lora",),
    about="U is s B, the scale is in it already.",
    hints=(
        "W x + U (A x) = (W + U A) x.",
        "U is (out, r), A is (r, in): the product has W's shape.",
        "W is frozen and may be used by others: make a new array.",
    ),
    call=_matrices, inputs=60, joins=_merged, joined="a model whose adapters are merged",
    mistakes=(
        mistake("the base is left out", "The adapter alone is a thin change, not a matrix to use.",
                "W + U @ A", "U @ A"),
        mistake("what was learned is taken off", "Plus.", "W + U @ A", "W - U @ A"),
        mistake("only the first of the r pairs is merged",
                "The sum over all r columns of U and rows of A.",
                "U @ A", "U[:, :1] @ A[:1]"),
        mistake("it is divided by the rank",
                "The scale is in U already.",
                "U @ A", "U @ A / A.dtype.type(len(A))"),
        mistake("the change is multiplied by the base",
                "It is added.",
                "W + U @ A", "W + W * (U @ A)"),
        mistake("the frozen matrix itself is changed",
                "Merging twice would then add twice: a new array.",
                "return W + U @ A", "return np.add(W, U @ A, out=W)"),
    ),
)

ASKED = Exercise(
    name="asked", title="What is asked for, beforehand", kind="predict", target="",
    chapter="finetuning.md", minutes=10, after=("answer-mask", "row-starts"),
    hints=(
        "The target of place t is token t + 1; a mask of tokens moves with the targets.",
        "A place of padding begins at itself.",
        "A mean over all tokens that were asked for is no mean of means.",
    ),
    questions=(
        Question("a", "Six tokens, of which the last three are an answer with its end. At how many "
                 "places is something asked?", lambda: 3,
                 ((2, "The first token of the answer is asked for too, at the question's end."),
                  (5, "Those are all places; the question's own tokens are not asked for."))),
        Question("b", "At which place (from 0) is the first of them?", lambda: 2,
                 ((3, "There the answer's first token stands; it is asked for at the place "
                  "before."),)),
        Question("c", "Samples of 2 and 3 places in a row of 7: where does the sample of each "
                 "place begin, as a list?", lambda: [0, 0, 2, 2, 2, 5, 6],
                 (([0, 0, 2, 2, 2, 5, 5], "Each place of padding begins at itself."),
                  ([0, 0, 1, 1, 1, 2, 2], "Where, not which."),
                  ([0, 0, 2, 2, 2, 0, 0], "Padding would see the whole row."))),
        Question("d", "Two batches with 10 and 30 tokens that are asked for, losses 2.0 and 1.0. "
                 "The loss of the step?", lambda: (10 * 2.0 + 30 * 1.0) / 40,
                 ((1.5, "Each counts by what was asked for in it."),)),
        Question("e", "LoRA of rank 8 beside a matrix of 768 x 768: how many numbers are learned?",
                 lambda: 2 * 768 * 8,
                 ((768 * 8, "There are two factors."), (768 * 768, "That is the frozen matrix."))),
    ),
)

EXERCISES = (STARTS, PACKING_HUNT, MERGED, ASKED)
