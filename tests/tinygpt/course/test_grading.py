"""A learner's file in the other process: what earns green, and what an accident comes to."""

import shutil

import pytest

from tests.tinygpt.course.author import SOLUTIONS
from tinygpt.course.compiling import compiler
from tinygpt.course.exercises import find
from tinygpt.course.folder import begun
from tinygpt.course.grade import grade
from tinygpt.course.racing import faster

HEAD = "import numpy as np\nfrom minigrad.tensor import Tensor, floats\n\n\ndef tanh(x):\n    "
FORGED = "print('{\"stage\": \"joins\", \"green\": true, \"says\": []}')\n"


@pytest.fixture
def graded(tmp_path):
    """Grade a text as the file of an exercise."""

    def of(text, name="tanh", **settings):
        path = tmp_path / find(name).file
        path.write_text(text)
        return grade(find(name), path, **settings)

    return of


def test_another_right_function_is_green_at_every_stage(graded, monkeypatch):
    monkeypatch.setenv("KERNELS_BACKEND", "c")  # with which hers would never be called
    verdict = graded((SOLUTIONS / "first/tanh.py").read_text())
    assert verdict.green, verdict
    names = [stage["stage"] for stage in verdict.stages]
    assert names == ["runs", "shapes", "properties", "gradient", "joins"]
    assert "power: 100%" in verdict.stages[3]["says"][0]


def test_a_mistake_is_called_by_its_name_with_a_call_to_paste(graded):
    body = "y = np.tanh(floats(x).data)\n    return Tensor(y, (x,), lambda dy: (dy * (1 - y),))\n"
    verdict = graded(HEAD + body)
    assert [stage["green"] for stage in verdict.stages] == [True, True, False]
    assert verdict.mistake == "the square is missing"
    assert verdict.stages[-1]["call"].startswith("tanh(tensor(np.array(")


def test_the_stub_is_not_yet_and_not_a_fault(graded):
    verdict = graded(begun(find("tanh")))
    assert verdict.untouched and not verdict.green and not verdict.mistake


@pytest.mark.parametrize("text, says", [
    ("import sys\n" + FORGED + "sys.exit(0)\n", "ended the process"),
    (HEAD + "return np.zeros(1 << 29) + x\n", "Unable to allocate 4.00 GiB"),
    (HEAD + "raise RuntimeError('planted')\n", "planted (your line 6)"),
    ("from minigrad.ops import tanh\n", "It imports tanh from minigrad.ops"),
    ("def tanh(x:\n", "Python cannot read it: line 1"),
], ids=["exit", "memory", "planted", "reference", "syntax"])
def test_what_is_no_answer_earns_nothing_and_is_said_in_a_sentence(graded, text, says):
    if "1 << 29" in text:
        pytest.importorskip("resource")
    verdict = graded(text)
    assert not verdict.green
    assert says in str(verdict.stages[-1]["says"])


def test_an_endless_loop_is_ended_and_its_line_is_named(graded):
    verdict = graded(HEAD + "while True:\n        pass\n", seconds=1.0)
    assert "still in your line" in verdict.stages[-1]["says"][0]
    assert verdict.stages[-1]["says"][0].endswith("running. Does a loop end?")


def test_nothing_is_written_outside(graded, tmp_path):
    target = tmp_path / "elsewhere"
    verdict = graded(HEAD + f"open({str(target)!r}, 'w')\n")
    assert "may not write" in str(verdict.stages[-1]["says"])
    assert not target.exists()


@pytest.mark.skipif(not compiler(), reason="there is no C compiler here")
def test_c_is_compiled_and_a_store_over_the_end_is_seen_and_named(graded):
    text = (SOLUTIONS / "second/c_tail.c").read_text()
    spoiled = text.replace("v_store_part(", "v_store(").replace("dot)), n)", "dot)))")
    assert spoiled.count("v_store(") == 1
    verdict = graded(spoiled, "c-tail", seconds=60.0)
    assert verdict.mistake == "the last store is a whole vector"


def test_without_a_compiler_it_says_what_is_missing(graded, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    if shutil.which(compiler()[0] if compiler() else "gcc"):
        pytest.skip("the compiler has an absolute path")
    verdict = graded((SOLUTIONS / "first/c_tail.c").read_text(), "c-tail")
    assert "There is no C compiler here" in verdict.stages[-1]["says"][0]


def test_speed_is_a_ratio_of_turns(monkeypatch):
    class Paper:
        exercise, route = find("bpe-faster"), type("Route", (), {"real": staticmethod(len)})

    def timed(seconds):
        order = iter(seconds * 7)
        return lambda f, arguments: next(order)

    assert faster(Paper, max, timed([8.0, 1.0])).green
    slow = faster(Paper, max, timed([2.0, 1.0]))
    assert not slow.green and "2.0 times as fast" in slow.says[0]
