"""Using a model: sampling, remembering, small weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygpt.course.draw import Draw
from tinygpt.course.exercise import Exercise, Holds, mistake


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


EXERCISES = (TOP_P, STOP_TEXT, RING, INT8, NF4)
