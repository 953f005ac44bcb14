"""What every exercise has, read from the data alone; and a sample of the author's check."""

import ast

import pytest

from tests.tinygpt.course.__main__ import apart
from tests.tinygpt.course.author import SOLUTIONS, solutions
from tinygpt.course import cut
from tinygpt.course.exercises import exercises, find
from tinygpt.course.folder import begun, solution

ALL = exercises()
WRITTEN = [one for one in ALL if one.kind in ("write", "faster")]


def test_there_are_enough_and_each_has_a_name_and_a_file_of_its_own():
    assert len(ALL) >= 36
    assert len({one.name for one in ALL}) == len({one.file for one in ALL}) == len(ALL)
    assert {one.kind for one in ALL} == {"write", "hunt", "predict", "faster"}


@pytest.mark.parametrize("exercise", ALL, ids=lambda one: one.name)
def test_an_exercise_has_hints_minutes_mistakes_and_what_it_builds_on_before_it(exercise):
    names = [one.name for one in ALL]
    assert len(exercise.hints) >= 3 and exercise.chapter.endswith(".md")
    assert 5 <= exercise.minutes <= 180
    assert all(names.index(name) < names.index(exercise.name) for name in exercise.after)
    if exercise.kind == "predict":
        assert len(exercise.questions) == 5 and all(one.wrong for one in exercise.questions)
    else:
        assert 6 <= len(exercise.mistakes) <= 12
        assert len({one.name for one in exercise.mistakes}) == len(exercise.mistakes)
        assert len(solutions(exercise)) == 2


@pytest.mark.parametrize("exercise", ALL, ids=lambda one: one.name)
def test_each_mistake_is_still_an_edit_of_the_real_function(exercise):
    if exercise.kind == "predict":
        return
    text = cut.text_of(exercise.module, exercise.function)
    for one in (*exercise.mistakes, *exercise.equals):
        mutant = cut.edited(text, one)
        assert mutant != text
        if not exercise.in_c:
            ast.parse(mutant)


def test_a_stub_says_how_what_it_imports_is_called():
    product = begun(find("product"))
    assert "#   operands(op, a, b): Both as Tensors of one dtype." in product
    assert "#   Tensor(data, parents=(), backward=None, requires_grad=False): " in product
    assert "#   Batch(ids, targets): " in begun(find("windows"))  # made of its fields
    assert "At hand" not in begun(find("shapes"))


@pytest.mark.parametrize("exercise", WRITTEN, ids=lambda one: one.name)
def test_the_stub_has_the_signature_and_nothing_of_the_solution(exercise):
    stub, real = begun(exercise), solution(exercise)
    assert real.splitlines()[0] in stub
    if not exercise.in_c:
        body = real.splitlines()[cut.given(real) :]
        code = [line.strip() for line in body if line.strip() and line.strip()[0] != "#"]
        assert not [line for line in code if line in stub and len(line) > 3]
        ast.parse(stub)


def test_no_solution_lies_around_without_an_exercise():
    named = {path for one in ALL for path in solutions(one)}
    assert named == {path for path in SOLUTIONS.rglob("*") if path.suffix in (".py", ".c")}


@pytest.mark.parametrize("name", ["bpe-replace", "unbroadcast-hunt", "losses"])
def test_the_authors_check_of_a_sample(name):
    row = apart(name, "--quick")
    assert row.faults == []
    assert row.killed == row.named == row.mistakes
    assert row.solutions == 2
