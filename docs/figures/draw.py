"""The figures of the book: `python docs/figures/draw.py` writes them beside this file.

What can be computed by the code of the project is: shares by softmax, waves by the model's own
sinusoids, sizes by the laws. A test draws them again and compares the bytes.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from canvas import Canvas

from kernels.numpy_ref.attention import attention_weights
from kernels.numpy_ref.softmax import softmax_forward
from kernels.packing import NF4_LEVELS
from minigrad.nn.init import sinusoids
from tinygpt.cluster.schedule import bubble, interleaved, makespan, one_f_one_b, simulate
from tinygpt.planning.laws import Case, bits_per_byte


def tape() -> Canvas:
    c = Canvas(620, 250, "x goes through two products to their sum; gradients come back to x")
    c.text(20, 28, "y = x x + 5 x at x = 3: forward in blue, gradients back in brown", "bold")
    places = {"x": (60, 130), "x x": (270, 80), "5 x": (270, 190), "y": (480, 130)}
    values = {"x": "3", "x x": "9", "5 x": "15", "y": "24"}
    for name, (x, y) in places.items():
        c.box(x, y - 20, 70, 40)
        c.text(x + 35, y - 3, name, "bold", "middle")
        c.text(x + 35, y + 13, values[name], "ta", "middle")
    for start, end, grad in (("x", "x x", "3 + 3"), ("x", "5 x", "5"), ("x x", "y", "1"),
                             ("5 x", "y", "1")):
        (x1, y1), (x2, y2) = places[start], places[end]
        tilt = (y2 - y1) * 0.3  # towards where the other box stands: pairs of arrows do not cross
        c.arrow(x1 + 73, y1 - 6 + tilt, x2 - 4, y2 - 6 - tilt, "a")
        c.arrow(x2 - 4, y2 + 6 - tilt, x1 + 73, y1 + 6 + tilt, "b")
        c.text((x1 + x2) / 2 + 35, (y1 + y2) / 2 + 22, grad, "tb", "middle")
    c.text(95, 172, "dy/dx = 6 + 5 = 11", "tb bold", "middle")
    c.text(515, 172, "dy/dy = 1", "tb", "middle")
    return c


def broadcasting() -> Canvas:
    c = Canvas(620, 210, "A bias is copied to two rows forward; its gradient sums two rows")
    for left, title, kind in ((20, "forward: a copy for each row", "a"),
                              (330, "backward: the sum over rows", "b")):
        c.text(left, 28, title, "bold")
        for column in range(3):
            x = left + 20 + 80 * column
            c.box(x, 150, 60, 30, "box")
            words = ("10", "20", "30") if kind == "a" else ("11", "22", "33")
            c.text(x + 30, 170, words[column], f"t{kind} bold", "middle")
            for row in range(2):
                c.box(x, 50 + 36 * row, 60, 28, "box")
                if kind == "a":
                    c.text(x + 30, 69 + 36 * row, words[column], "soft", "middle")
                else:
                    c.text(x + 30, 69 + 36 * row, (("1", "2", "3"), words)[0][column] + "0" * row,
                           "soft", "middle")
            ends = (148, 118) if kind == "a" else (118, 148)
            c.arrow(x + 30, ends[0], x + 30, ends[1], kind)
    return c


def tiles() -> Canvas:
    c = Canvas(620, 240, "One tile of c needs a row of tiles of a and a column of tiles of b")
    for left, name, marked in ((30, "a", "row"), (230, "b", "column"), (430, "c", "one")):
        c.text(left, 36, name, "bold")
        for i in range(4):
            for j in range(4):
                hit = {"row": i == 1, "column": j == 2, "one": (i, j) == (1, 2)}[marked]
                c.box(left + 36 * j, 50 + 36 * i, 36, 36, "warm" if hit else "empty")
                c.box(left + 36 * j, 50 + 36 * i, 36, 36, "empty")
    c.text(202, 128, "x", "bold title", "middle")
    c.text(402, 128, "=", "bold title", "middle")
    c.text(30, 222, "A tile stays in fast memory while it is used t times for each of its numbers.",
           "soft")
    return c


def roofline() -> Canvas:
    c = Canvas(620, 300, "What memory allows rises with the intensity until arithmetic's flat roof")
    left, top, wide, high = 70, 50, 500, 190

    def x(intensity: float) -> float:
        return left + wide * math.log2(intensity / 0.25) / 10

    def y(rate: float) -> float:
        return top + high * (1 - math.log2(rate / 4) / 6)

    c.text(20, 28, "Two cores of a small server (AVX2): 140 GFLOP/s, 18 GB/s", "bold")
    for power in range(-2, 9, 2):
        c.line(x(2.0**power), top, x(2.0**power), top + high)
        c.text(x(2.0**power), top + high + 18, f"{2.0**power:g}", "soft small", "middle")
    for rate in (4, 16, 64, 256):
        c.line(left, y(rate), left + wide, y(rate))
        c.text(left - 8, y(rate) + 4, str(rate), "soft small", "end")
    knee = 140 / 18
    c.path([(x(0.25), y(4.5)), (x(knee), y(140)), (x(256), y(140))], "a")
    for intensity, words in ((0.5, "writing one token"), (2.67, "16 x 16"), (128.0, "768 x 768")):
        rate = min(140, 18 * intensity)
        c.dot(x(intensity), y(rate), 5, "fb")
        c.text(x(intensity), y(rate) + 24, words, "tb", "middle" if intensity > 1 else "start")
    c.text(left + wide / 2, 290, "operations for each byte fetched", "soft", "middle")
    c.text(left + wide, y(140) - 9, "arithmetic's roof", "ta", "end")
    c.text(x(0.7), y(26), "memory's roof", "ta", "end")
    c.text(14, top - 6, "GFLOP/s", "soft small")
    return c


def memory() -> Canvas:
    c = Canvas(620, 240, "Registers, three caches and memory: each larger and slower")
    levels = (("registers", "2 KB", "now"), ("L1", "32 KB", "1 ns"), ("L2", "512 KB", "4 ns"),
              ("L3", "16 MB", "15 ns"), ("memory", "8 GB", "80 ns"))
    for i, (name, size, time) in enumerate(levels):
        width, y = 140 + 100 * i, 20 + 42 * i
        c.box(310 - width / 2, y, width, 36, ("pale", "pale", "pale", "pale", "warm")[i])
        c.text(310, y + 23, f"{name}   {size}   {time}", "", "middle")
    return c


def temperature() -> Canvas:
    c = Canvas(620, 220, "Bars of five probabilities at temperatures 0.5, 1 and 2")
    scores = np.array([2.0, 1.5, 1.0, 0.0, -1.0])
    for panel, heat in enumerate((0.5, 1.0, 2.0)):
        left = 30 + 200 * panel
        c.text(left, 28, f"temperature {heat:g}", "bold")
        c.line(left, 180, left + 170, 180, "ink")
        for i, p in enumerate(softmax_forward(scores / heat)):
            c.box(left + 6 + 33 * i, 180 - 190 * p, 26, 190 * p, "fa")
            c.text(left + 19 + 33 * i, 174 - 190 * p, f"{p:.2f}", "small", "middle")
            c.text(left + 19 + 33 * i, 198, f"{scores[i]:g}", "soft small", "middle")
    return c


def attention() -> Canvas:
    words = ("the", "dog", "sat", "on", "the", "log")
    c = Canvas(620, 300, "A causal attention map: rows are queries, columns keys, the future empty")
    x = np.random.default_rng(3).standard_normal((1, 6, 1, 8))
    _, p, _ = attention_weights(x, 0.4 * x + 0.7 * np.roll(x, 1, axis=1))
    for i, word in enumerate(words):
        c.text(112, 82 + 36 * i, word, "", "end")
        c.text(138 + 36 * i, 50, word, "small", "middle")
        for j in range(6):
            if j <= i:
                c.box(120 + 36 * j, 60 + 36 * i, 34, 34, "fa", max(0.06, float(p[0, 0, i, j])))
            c.box(120 + 36 * j, 60 + 36 * i, 34, 34, "empty")
    c.text(120, 26, "key: what is looked at", "soft")
    c.text(20, 50, "query", "soft")
    c.text(360, 100, "Each row sums to 1.", "bold")
    c.text(360, 124, "Right of the diagonal is the future:")
    c.text(360, 142, "its scores are minus infinity")
    c.text(360, 160, "before softmax, its shares 0.")
    c.text(360, 190, "The first token has only itself.", "soft")
    return c


def positions() -> Canvas:
    c = Canvas(620, 250, "Places by columns of waves from fast to slow, and how alike places are")
    waves = sinusoids((64, 32)).data
    waves = waves / np.abs(waves).max()
    for place in range(32):
        for column in range(16):  # every second one
            value = float(waves[place, 2 * column])
            kind = "fa" if value > 0 else "fb"
            c.box(60 + 12 * column, 30 + 6 * place, 12, 6, kind, abs(value))
    c.text(60, 20, "fast", "soft small")
    c.text(252, 20, "slow", "soft small", "end")
    c.text(52, 38, "0", "soft small", "end")
    c.text(52, 222, "31", "soft small", "end")
    alike = waves @ waves[20]
    c.text(330, 24, "How like place 20 is each place?", "bold")
    c.line(330, 200, 590, 200, "ink")
    low, high = float(alike.min()), float(alike.max())
    c.path([(330 + 4 * i, 195 - 145 * (float(v) - low) / (high - low))
            for i, v in enumerate(alike)], "a")
    for place in (0, 20, 40, 60):
        c.text(330 + 4 * place, 218, str(place), "soft small", "middle")
    return c


def _curve(kind: str, i: int) -> tuple[float, float | None]:
    """Loss of a training at step i of 100, and what was held out."""
    tremble = 0.06 * math.sin(2.1 * i) * math.cos(0.7 * i)
    healthy = 1.6 + 2.4 * math.exp(-i / 12) - 0.35 * i / 100
    if kind == "healthy":
        return healthy + tremble, healthy + 0.12
    if kind == "rate too high":
        return min(4.0, 2.9 + 1.1 * math.exp(-i / 4) + 0.009 * i) + 2 * tremble, None
    if kind == "rate too low":
        return 4.0 - 0.012 * i + tremble, None
    if kind == "by heart":
        return healthy * math.exp(-i / 120) + tremble, healthy + 0.0002 * max(0, i - 35) ** 2
    if kind == "one bad batch":
        return healthy + tremble + (1.6 * math.exp(-(i - 55) / 3) if i >= 55 else 0), None
    return 4.0 - 2.2 * i / 100 + tremble, 4.1 - 2.2 * i / 100


def curves() -> Canvas:
    c = Canvas(620, 330, "Six loss curves: healthy, rate too high or low, by heart, a spike, early")
    kinds = (
        "healthy", "rate too high", "rate too low", "by heart", "one bad batch", "not yet done",
    )
    for panel, kind in enumerate(kinds):
        left, top = 24 + 200 * (panel % 3), 36 + 150 * (panel // 3)
        c.text(left, top - 8, kind, "bold")
        c.path([(left, top), (left, top + 100), (left + 176, top + 100)], "ink")
        both = [_curve(kind, i) for i in range(0, 101, 2)]
        spots = [left + 1.75 * 2 * n for n in range(len(both))]
        c.path([(x, top + 100 - 24 * t) for x, (t, _) in zip(spots, both, strict=True)], "a")
        held = [(x, top + 100 - 24 * v) for x, (_, v) in zip(spots, both, strict=True) if v]
        if held:
            c.path(held, "b")
    c.text(24, 316, "blue: training loss", "ta")
    c.text(180, 316, "brown: held-out loss", "tb")
    c.text(340, 316, "across: steps", "soft")
    return c


def cache() -> Canvas:
    c = Canvas(620, 230, "Without a cache each step computes all rows, with one only the new")
    for left, title in ((40, "without: 21 rows of work"), (340, "with a cache: 6 rows")):
        c.text(left, 28, title, "bold")
        for step in range(6):
            for row in range(step + 1):
                new = left == 40 or row == step
                c.box(left + 36 * row, 44 + 28 * step, 32, 24, "fa" if new else "pale")
    c.text(40, 222, "filled: computed in this step; pale: kept keys and values, only read", "soft")
    return c


def grid() -> Canvas:
    c = Canvas(620, 210, "Weights in a bell shape above even marks of int4 and uneven ones of nf4")
    left, wide = 40, 540

    def x(value: float) -> float:
        return left + wide * (value + 1) / 2

    bell = [(x(v), 110 - 78 * math.exp(-((v * 2.6) ** 2) / 2)) for v in np.linspace(-1, 1, 101)]
    c.path([(float(a), float(b)) for a, b in bell], "c")
    c.text(x(0.42), 60, "how common a weight is", "tc")
    for y, name, marks in ((135, "even marks", np.arange(-8, 8) / 8), (175, "nf4", NF4_LEVELS)):
        c.line(left, y, left + wide, y, "ink")
        for mark in marks:
            c.line(x(float(mark)), y - 8, x(float(mark)), y + 8, "a" if y == 135 else "b")
        c.text(left, y + 22, name, "ta" if y == 135 else "tb")
    return c


def scaling() -> Canvas:
    c = Canvas(620, 300, "Bits a byte against parameters, for three lengths of training")
    left, top, wide, high = 70, 40, 430, 200
    sizes = np.geomspace(1e4, 1e8, 41)

    def at(size: float, bits: float) -> tuple[float, float]:
        return left + wide * math.log10(size / 1e4) / 4, top + high * (3.2 - bits) / 1.6

    for power in range(4, 9):
        x, y = at(10.0**power, 1.6)
        c.line(x, top, x, y)
        c.text(x, y + 18, f"10^{power}", "soft small", "middle")
    for bits in (1.6, 2.0, 2.4, 2.8, 3.2):
        x, y = at(1e4, bits)
        c.line(x, y, x + wide, y)
        c.text(x - 8, y + 4, f"{bits:g}", "soft small", "end")
    for tokens, kind in ((1e6, "b"), (1e7, "a"), (1e8, "c")):
        found = [bits_per_byte(Case(n, 7e4, 512, 2.0, 1e9, tokens, 0.0)) for n in sizes]
        points = [at(float(n), b) for n, b in zip(sizes, found, strict=True)]
        c.path(points, kind)
        c.text(points[-1][0] + 8, points[-1][1] + 4, f"{tokens / 1e6:g} M tokens", f"t{kind}")
    c.text(left + wide / 2, 288, "parameters in blocks", "soft", "middle")
    c.text(14, 26, "bits a byte, by our laws, of a text that is never read twice", "soft")
    return c


def pipeline() -> Canvas:
    c = Canvas(720, 400, "Four stages work on eight microbatches: plain 1F1B, and interleaved")
    orders = (("1F1B: each stage holds its layers in one piece", 1, one_f_one_b(4, 8)),
              ("interleaved: in two pieces, the second shaded", 2, interleaved(4, 8, 2)))
    scale = 630 / 33  # pixels a unit of time
    for top, (title, chunks, order) in zip((30, 222), orders, strict=True):
        events = simulate(order, 1 / chunks, 2 / chunks)
        c.text(20, top, f"{title}; the bubble is {bubble(events):.0%} of the work", "bold")
        for stage in range(4):
            y = top + 14 + 32 * stage
            c.text(20, y + 18, f"stage {stage + 1}", "soft small")
            c.box(70, y, makespan(events) * scale, 26, "empty")
        for stage, task, start, end in events:
            x, y = 70 + start * scale, top + 14 + 32 * stage
            kind, ink = ("pale", "ta") if task.forward else ("warm", "tb")
            c.box(x, y, (end - start) * scale, 26, kind)
            c.box(x, y, (end - start) * scale, 26, "empty")
            if task.chunk:
                c.box(x, y, (end - start) * scale, 26, f"f{ink[1]}", 0.3)
            c.text(x + (end - start) * scale / 2, y + 17, str(task.micro + 1),
                   f"{ink} small", "middle")
    c.text(70, 388, "time; blue: forward, brown: backward, which takes twice as long; numbers: the "
           "microbatch", "soft small")
    return c


FIGURES: dict[str, Callable[[], Canvas]] = {
    "tape": tape, "broadcasting": broadcasting, "tiles": tiles, "roofline": roofline,
    "memory": memory, "temperature": temperature, "attention": attention, "positions": positions,
    "curves": curves, "cache": cache, "grid": grid, "scaling": scaling,
    "pipeline": pipeline,
}

if __name__ == "__main__":
    for name, figure in FIGURES.items():
        path = Path(__file__).with_name(f"{name}.svg")
        path.write_text(str(figure()), encoding="utf-8")
        print(path)
