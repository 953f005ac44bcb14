"""What bench compress draws: the Pareto line, names that do not cover each other, a table."""

import math
import re

import pytest

from bench.compress import AFTER, BEFORE, CHOICES, QUESTIONS, methods, task
from bench.compress_chart import HEIGHT, NEAR, compared, figure, pareto, spread, table, taken
from tinygpt.compression.methods import METHODS


def line(name, size, bits):
    return {"name": name, "bytes": size, "bits": bits, "low": bits - 0.01, "high": bits + 0.01,
            "speed": 1.0, "right": 0.5, "asked": 60}


LINES = [line("float32", 4000, 2.0), line("int8", 1000, 2.01), line("int4", 500, 2.2),
         line("gptq int4", 500, 2.1), line("zeros", 4000, 2.5)]


def test_the_line_has_those_that_none_beats_in_both():
    assert [one["name"] for one in pareto(LINES)] == ["gptq int4", "int8", "float32"]


def test_every_method_of_compress_is_measured():
    names = " ".join(methods())
    assert all(method in names for method in METHODS)


@pytest.mark.parametrize("wanted", [[0, 0, 0], [100, 100, 101], [0, 50, 100], [3]])
def test_names_stand_apart_and_inside(wanted):
    places = spread(wanted, NEAR, 0, 100)
    assert all(b - a >= NEAR - 1e-9 for a, b in zip(places, places[1:], strict=False))
    assert -1e-9 <= places[0] and places[-1] <= 100


def test_the_table_names_all_and_marks_the_line():
    made = table(LINES)
    assert "| **gptq int4** | 0.00 | 0.12 | 2.100 (2.090-2.110) | 1.00x | 50% |" in made
    assert "| zeros |" in made and len(made.splitlines()) == 2 + len(LINES)
    assert "1.00x" not in table(LINES, times=False)
    untimed = {key: value for key, value in LINES[0].items() if key != "speed"}
    assert "| 2.000 (1.990-2.010) |  | 50% |" in table([untimed])
    assert "| 2.000 (1.990-2.010) |  |" in table([{**LINES[0], "asked": 0}], times=False)


def test_speeds_say_when_they_were_taken():
    noted = [{**one, "when": f"2026-01-0{i} 10:00", "load": i / 2, "threads": 2}
             for i, one in enumerate(LINES, 1)]
    assert "2026-01-01 10:00 to 2026-01-05 10:00, threads: 2, load" in taken(noted)
    assert "0.5 to 2.5" in taken(noted) and "again" in taken(LINES)


def test_the_figure_has_a_dot_for_each():
    drawn = figure(LINES)
    assert drawn.count("<circle") == len(LINES) and drawn.count('class="dot b"') == 3


def test_intervals_stay_inside_the_figure_and_unknown_ones_do_no_harm():
    lines = [{**LINES[0], "low": 1.0, "high": 3.0}, *LINES[1:]]
    bars = re.findall(r'class="bar".*?y1="(.*?)" y2="(.*?)"', figure(lines))
    assert len(bars) == len(lines)
    assert all(0 <= float(y) <= HEIGHT for bar in bars for y in bar)
    unknown = [{**one, "low": math.nan, "high": math.nan} for one in LINES]
    dots = re.findall(r'<circle class="dot ." cx=".*?" cy="(.*?)"', figure(unknown))
    assert len(dots) == len(LINES) and all(0 <= float(y) <= HEIGHT for y in dots)


def test_what_is_far_off_is_named_and_not_drawn():
    drawn = figure([*LINES, line("broken", 100, 9.0)])
    assert "beyond: broken 9.00" in drawn and drawn.count("<circle") == len(LINES)


def test_pairs_on_the_same_pieces_are_told_apart_where_their_intervals_overlap():
    hard = [1000.0, 4000.0, 2000.0, 3000.0, 1500.0]
    lines = [
        {**line("a", 1, 1.0), "clusters": [(nats, 2000) for nats in hard]},
        {**line("b", 1, 1.0), "clusters": [(nats - 10 - i, 2000) for i, nats in enumerate(hard)]},
        line("old", 1, 1.0),
    ]
    (said,) = compared(lines, [("a", "b"), ("a", "old"), ("a", "missing")])
    low, high = said.partition("(")[2].rstrip(")").split(" to ")
    assert said.startswith("b against a: -0.0087 bits per byte") and float(low) < float(high) < 0


def test_questions_are_the_same_each_time_and_their_first_answer_is_the_texts():
    text = "".join(chr(97 + i * i % 26) for i in range(2000))
    asked = task(text)
    assert asked == task(text) and len(asked) == QUESTIONS
    for before, after in asked:
        assert len(before) == BEFORE and {len(one) for one in after} == {AFTER}
        assert len(after) == CHOICES and before + after[0] in text
    assert task("too short") == []
