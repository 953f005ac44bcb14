"""Using a model: sampling, remembering, small weights, and teaching it to answer."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from tinygpt.course.draw import Draw
from tinygpt.course.exercise import Exercise, Holds, mistake
from tinygpt.course.exercises.work import through


def _likely(draw: Draw) -> tuple[Any, ...]:
    p = draw.choice((0.9, 0.5, 0.99, 0.1, 1.0))
    if draw.integer(0, 5) == 5:  # more tokens than are looked at first
        rng = np.random.default_rng(draw.integer(0, 99))
        return (rng.random(150 + draw.integer(0, 200)).astype(np.float32), p)
    numbers = (1.0, 0.5, 0.25, 0.125, 0.0, 0.75)
    w = draw.array((draw.integer(1, 6),), np.float32, numbers)
    w[0] = 1
    return w, p


def _enough(f: Any, w: np.ndarray, p: float) -> bool:
    return bool(w[w >= f(w, p)].sum(dtype=np.float64) >= p * w.sum(dtype=np.float64) - 1e-6)


TOP_P = Exercise(
    name="top-p", title="The fewest that make up p", kind="write",
    target="tinygpt.inference.sampling:top_p", chapter="sampling.md", minutes=20,
    hints=(
        "Sort the weights, the largest first, and add them up: where is a share p of all reached?",
        "The weight that reaches it is kept: return that one. np.searchsorted finds it in a "
        "cumulative sum.",
        "Sums in float64. Rounding may leave the last cumulative sum a little short: then it is "
        "the "
        "last weight.",
    ),
    call=_likely, inputs=150,
    holds=(Holds("what is kept makes up a share p", _enough),),
    mistakes=(
        mistake("p is taken of 1, not of all weights",
                "Weights are relative to the likeliest: their sum is not 1.",
                "p * w.sum(dtype=np.float64), LIKELIEST", "p, LIKELIEST"),
        mistake("it begins with the least likely",
                "The fewest means the largest first.",
                "np.sort(likeliest)[::-1]", "np.sort(likeliest)"),
        mistake("the token that reaches p is left out",
                "What is kept must make up p: that token belongs to it.",
                "ordered[min(reached, len(ordered) - 1)]", "ordered[max(reached - 1, 0)]"),
        mistake("one token too many is kept",
                "The one that reaches p is the last.",
                "min(reached, len(ordered) - 1)", "min(reached + 1, len(ordered) - 1)"),
        mistake("it is min-p: a share of the largest",
                "Top-p adds up until a share of all is reached.",
                "return ordered[min(reached, len(ordered) - 1)]", "return p * w.max()"),
        mistake("it never looks beyond the 64 likeliest",
                "Where they do not reach p, more must be looked at.",
                "        if likeliest.sum(dtype=np.float64) >= needed:\n            break\n",
                "        break\n"),
        mistake("it says how many, not down to which weight",
                "The least weight that is kept is asked for.",
                "return ordered[min(reached, len(ordered) - 1)]", "return float(reached + 1)"),
    ),
)


def _ending(draw: Draw) -> tuple[Any, ...]:
    def some(low: int, high: int) -> str:
        return "".join("ab."[draw.integer(0, 2)] for _ in range(draw.integer(low, high)))

    return some(0, 6), some(1, 4)


def _streamed() -> Any:
    from tinygpt.inference.generate import until_stop

    pieces = ["so", " it e", "nds", ". En", "d", ". The end", "."]
    return [list(until_stop(pieces, stop)) for stop in ("End.", ["ends?", "The end"], "zzz")]


STOP_TEXT = Exercise(
    name="stop-text", title="What must be held back", kind="write",
    target="tinygpt.inference.generate:overlap", chapter="sampling.md", minutes=15,
    hints=(
        "The text so far may end with the beginning of a stop text: so much cannot be shown yet.",
        "Try lengths from the longest down: does text end with stop[:n]?",
        "All of stop is no overlap: that one has come, and is found elsewhere. At most len(stop) "
        "- 1.",
    ),
    call=_ending, inputs=200, joins=_streamed, joined="three streams of text",
    holds=(
        Holds("the end of the text is the beginning of the stop",
              lambda f, t, s: f(t, s) == 0 or t[-f(t, s):] == s[: f(t, s)]),
    ),
    mistakes=(
        mistake("the whole stop text counts",
                "One that is complete is no beginning any more.",
                "len(stop) - 1)", "len(stop))"),
        mistake("the shortest overlap is taken",
                "With too little held back, the beginning of the stop text is shown.",
                "range(longest, 0, -1)", "range(1, longest + 1)"),
        mistake("it looks at the text's beginning",
                "What comes next continues the text's end.",
                "text.endswith(stop[:n])", "text.startswith(stop[:n])"),
        mistake("it looks for the end of the stop text",
                "The stop text begins at the end of the text.",
                "stop[:n]", "stop[-n:]"),
        mistake("as much as possible is held back, whatever it is",
                "That delays every answer by the length of the stop text.",
                "return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)",
                "return max(longest, 0)"),
        mistake("it is content to find the beginning anywhere",
                "Only at the end can it go on to become the stop text.",
                "text.endswith(stop[:n])", "stop[:n] in text"),
        mistake("only one character is compared",
                "All n characters must agree.",
                "text.endswith(stop[:n])", "text.endswith(stop[n - 1])"),
    ),
)


def _appended(draw: Draw) -> tuple[Any, ...]:
    return draw.integer(1, 4), [draw.integer(1, 3) for _ in range(draw.integer(1, 5))]


def _ring(f: Any, places: int, sizes: list[int]) -> Any:
    from tinygpt.model.cache import LayerCache

    ring, length, seen = np.zeros((1, places, 1, 1), np.float32), 0, []
    for size in sizes:
        cache = LayerCache(ring, ring, length)
        new = 1 + np.arange(length, length + size, dtype=np.float32).reshape(1, size, 1, 1)
        seen.append(f(cache, ring, new).copy())
        length += size
    return {"seen": seen, "ring": ring}


def _in_order(f: Any, places: int, sizes: list[int]) -> bool:
    return all((np.diff(one.ravel()) == 1).all() for one in _ring(f, places, sizes)["seen"])


RING = Exercise(
    name="kv-ring", title="A cache that goes round", kind="write",
    target="tinygpt.model.cache:LayerCache._append", chapter="sampling.md", minutes=30,
    about="ring: (B, places, Hkv, D), position p at place p mod places; new: (B, T, Hkv, D), of "
          "the "
    "positions from self.length on. Store new, and return what was kept before, oldest first, and "
    "new behind it.",
    hints=(
        "As long as it has not come round, it is a plain array: write, and return the filled part.",
        "What is kept are the last `places` positions before self.length: gather their places, "
        "oldest first, before anything is overwritten.",
        "Of kept and new together the last `places` go back into the ring, each to its position "
        "mod "
        "places.",
    ),
    call=_appended, run=_ring, shown="appending {1} to a ring of {0} places", inputs=120,
    holds=(Holds("what is returned is in order", _in_order),),
    joins=lambda: _written(), joined="text beyond the context of a small GPT",
    mistakes=(
        mistake("what was kept comes in the order of the places",
                "After coming round the oldest does not lie at place 0: oldest first.",
                "np.arange(max(self.length - places, 0), self.length) % places",
                "np.arange(min(self.length, places))"),
        mistake("only as many as there are places are returned",
                "The first new query still sees what the last new key will overwrite.",
                "return both", "return both[:, -places:]"),
        mistake("new ones are stored from place 0 on",
                "Position p lies at p mod places.",
                "np.arange(end - places, end) % places", "np.arange(places)"),
        mistake("it writes before it reads",
                "What is overwritten is still to be returned.",
                "    both = np.concatenate",
                "    ring[:, np.arange(max(self.length, end - places), end) % places] = "
                "new[:, -places:]\n    both = np.concatenate"),
        mistake("new ones come first", "Oldest first, so new ones last.",
                "[ring[:, kept], new]", "[new, ring[:, kept]]"),
        mistake("only the new ones are returned",
                "A query sees all that was kept.",
                "return ring[:, :end]", "return new"),
        mistake("empty places are returned too",
                "Only what is filled: zeros would be keys of their own.",
                "return ring[:, :end]", "return ring"),
    ),
)


def _written() -> Any:
    from tinygpt.inference.generate import generate
    from tinygpt.model import ModelShape, build

    shape = ModelShape(
        vocab_size=9, n_layers=2, n_heads=2, d_model=16, context=8, positions="alibi"
    )
    model = build(shape, np.random.default_rng(0))
    # NumPy's step has a cache of its own kind of append: feed asks ours, in stretches.
    from tinygpt.inference.decoder import Decoder

    decoder, found = Decoder(model), list(generate(model, [1, 2, 3], max_tokens=4))
    for start in range(0, 12, 3):
        ids = np.arange(start, start + 3)[None] % 9
        found.append(decoder.feed(ids)[0].argmax())
    return [int(one) for one in found]


def _rows(draw: Draw) -> tuple[Any, ...]:
    numbers = (0.0, 127.0, -127.0, 0.5, 1.5, 2.5, -0.5, -2.5, 63.25, 1e-36, 1e-30, 12.7)
    return (draw.array((*draw.shape(0, 2, 3), draw.integer(1, 5)), draw.dtype(), numbers),)


INT8 = Exercise(
    name="int8", title="A row in 8 bits", kind="write",
    target="kernels.numpy_ref.matmul_int8:quantize_rows", chapter="quantization.md", minutes=20,
    hints=(
        "The largest |x| of a row becomes 127: scale = max|x| / 127, q = round(x / scale).",
        "np.rint rounds halves to even. Multiply by 1 / scale, as the fast versions do.",
        "A row whose largest is below TINY has scale 0 and q 0: mind the division. Keep x's dtype.",
    ),
    call=_rows, inputs=120,
    holds=(
        Holds("no number is off by more than half a step",
              lambda f, x: bool((np.abs(f(x)[0] * f(x)[1][..., None] - x)
                                 <= 0.5001 * f(x)[1][..., None] + 1e-30).all())),
    ),
    mistakes=(
        mistake("the largest becomes 128",
                "int8 ends at 127: 128 wraps round to -128.",
                "x.dtype.type(127)", "x.dtype.type(128)"),
        mistake("it cuts off in place of rounding",
                "Cutting off makes every number smaller, by half a step on average.",
                "np.rint(x * inverse[..., None])", "np.trunc(x * inverse[..., None])"),
        mistake("all rows share one scale",
                "A row of small numbers would lose them all: one scale a row.",
                "np.abs(x).max(axis=-1, initial=0)",
                "np.full(x.shape[:-1], np.abs(x).max(initial=0), x.dtype)"),
        mistake("the largest number, not the largest size",
                "-127 is as far from 0 as 127.",
                "np.abs(x).max(axis=-1", "x.max(axis=-1"),
        mistake("halves are rounded up",
                "np.rint rounds them to even, so that they cancel out.",
                "np.rint(x * inverse[..., None])", "np.floor(x * inverse[..., None] + 0.5)"),
        mistake("codes are unsigned", "q reaches from -127 to 127.",
                ".astype(np.int8)", ".astype(np.uint8)"),
        mistake("the inverse of the scale is returned",
                "x ~ scale q.", ".astype(np.int8), scale", ".astype(np.int8), inverse"),
        mistake("rows next to nothing get a scale",
                "Below TINY, 1 / scale leaves the range of float32.",
                "np.where(peak < TINY, 0, peak / x.dtype.type(127))", "(peak / x.dtype.type(127))"),
    ),
)


def _scaled(draw: Draw) -> tuple[Any, ...]:
    shares = (0.0, 1.0, -1.0, 0.5, -0.5, 0.1, -0.1, 0.33, -0.75, 0.9, 0.62, 0.04, -0.04)
    shape = draw.shape(1, 2)
    scale = draw.array(shape, np.float32, (1.0, 2.0, 0.5, 0.0, 3.0))
    return draw.array(shape, np.float32, shares) * scale, scale


NF4 = Exercise(
    name="nf4", title="Four bits for a bell curve", kind="write",
    target="kernels.numpy_ref.matmul_nf4:nf4_codes", chapter="quantization.md", minutes=15,
    after=("int8",),
    hints=(
        "NF4_LEVELS are 16 numbers from -1 to 1, in order. Which is nearest to w / scale?",
        "Between two levels the border is their middle: np.searchsorted on the 15 middles counts "
        "how many borders lie below.",
        "A scale of 0 means a group of zeros: code 7, the level 0. The codes are uint8.",
    ),
    call=_scaled, inputs=120,
    mistakes=(
        mistake("the level below is taken, not the nearest",
                "Borders lie in the middle of two levels.",
                "(NF4_LEVELS[1:] + NF4_LEVELS[:-1]) / 2", "NF4_LEVELS[1:]"),
        mistake("the level above is taken, not the nearest",
                "Borders lie in the middle of two levels.",
                "(NF4_LEVELS[1:] + NF4_LEVELS[:-1]) / 2", "NF4_LEVELS[:-1]"),
        mistake("w is not divided by its scale",
                "Levels reach from -1 to 1.", "w / safe", "w"),
        mistake("w is multiplied by its scale", "Levels are of w / scale.", "w / safe", "w * safe"),
        mistake("zeros get code 0",
                "Code 0 is the level -1; 0 is level 7.", "np.uint8(7)", "np.uint8(0)"),
        mistake("levels are taken for evenly spaced",
                "They lie closer near 0, where a bell curve has most of its numbers.",
                "np.searchsorted(middles, w / safe)", "np.rint((w / safe + 1) * 7.5)"),
        mistake("codes are not uint8", "Four bits are stored in bytes.",
                "np.searchsorted(middles, w / safe).astype(np.uint8)",
                "np.searchsorted(middles, w / safe)"),
    ),
)


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

EXERCISES = (TOP_P, STOP_TEXT, RING, INT8, NF4, ANSWER_MASK, PACKING, LORA)
