"""What bench compress draws: the Pareto line, names that do not cover each other, a table."""

import pytest

from bench.compress import AFTER, BEFORE, CHOICES, QUESTIONS, methods, task
from bench.compress_chart import NEAR, figure, pareto, spread, table
from tinygpt.compression.methods import METHODS


def line(name, size, bits):
    return {"name": name, "bytes": size, "bits": bits, "low": bits - 0.01, "high": bits + 0.01,
            "speed": 1.0, "right": 0.5}


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


def test_the_figure_has_a_dot_for_each():
    drawn = figure(LINES)
    assert drawn.count("<circle") == len(LINES) and drawn.count('class="dot b"') == 3


def test_what_is_far_off_is_named_and_not_drawn():
    drawn = figure([*LINES, line("broken", 100, 9.0)])
    assert "beyond: broken 9.00" in drawn and drawn.count("<circle") == len(LINES)


def test_questions_are_the_same_each_time_and_their_first_answer_is_the_texts():
    text = "".join(chr(97 + i * i % 26) for i in range(2000))
    asked = task(text)
    assert asked == task(text) and len(asked) == QUESTIONS
    for before, after in asked:
        assert len(before) == BEFORE and {len(one) for one in after} == {AFTER}
        assert len(after) == CHOICES and before + after[0] in text
    assert task("too short") == []
