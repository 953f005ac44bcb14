"""A file of results: whole, cut in mid-line, damaged, of something else."""

import json

import numpy as np
import pytest

from tinygpt.errors import UserError
from tinygpt.evaluation import results as files
from tinygpt.evaluation.intervals import Interval, difference
from tinygpt.evaluation.results import Results

HEADER = {
    "results": 1, "suite": "text", "kind": "text", "model": "m", "identity": "1", "settings": {},
    "notes": [],
}


def line(name, **more):
    return {"item": name, "bytes": 10, "words": 2, "tokens": 5, "nats": 3.0, **more}


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "results.jsonl"
    Results(HEADER, [line("a"), line("b")]).save(found)
    return found


@pytest.fixture
def said():
    return []


def test_what_is_saved_is_read(path, said):
    assert files.read(path, said.append) == Results(HEADER, [line("a"), line("b")])
    assert files.looks_like(path) and not said


def test_a_file_that_ends_in_mid_line_is_read_up_to_there(path, said):
    path.write_text(path.read_text() + json.dumps(line("c"))[:20])
    assert [one["item"] for one in files.read(path, said.append).lines] == ["a", "b"]
    assert said == [f"{path} ends in mid-line: what was begun there is left out"]


def test_a_damaged_line_is_left_out_and_named(path, said):
    content = path.read_text().splitlines()
    content.insert(2, '{"item": "x", "nats": "many"}')
    content.insert(2, "not json")
    path.write_text("\n".join(content) + "\n")
    assert [one["item"] for one in files.read(path, said.append).lines] == ["a", "b"]
    assert "line 3 is not JSON" in said[0] and "x has no bytes" in said[1]


def test_an_evaluation_goes_on_after_its_whole_lines(path, said):
    path.write_text(path.read_text() + '{"item": "c", "by')
    there, log = files.begin(path, HEADER, True, said.append)
    log.line(json.dumps(line("c")))
    assert [one["item"] for one in there] == ["a", "b"]
    assert [one["item"] for one in files.read(path, said.append).lines] == ["a", "b", "c"]


def test_results_of_another_model_are_not_gone_on_with(path, said):
    with pytest.raises(UserError, match="identity '1', now it is '2'"):
        files.begin(path, {**HEADER, "identity": "2"}, True, said.append)


def test_of_settings_that_differ_the_one_is_named(path, said):
    with pytest.raises(UserError, match="with shots None, now it is 2. Begin anew"):
        files.begin(path, {**HEADER, "settings": {"shots": 2}}, True, said.append)


def test_without_resume_it_begins_anew(path, said):
    there, _ = files.begin(path, HEADER, False, said.append)
    assert there == [] and len(path.read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [("", "does not begin"), ("hello\n", "not begin"),
     (json.dumps({**HEADER, "results": 2}) + "\n", "results that is"),
     (json.dumps({**HEADER, "kind": "poem"}) + "\n", "kind that is"),
     (json.dumps(HEADER) + "\n", "has no item yet")],
)
def test_what_is_no_file_of_results_says_so(tmp_path, said, content, words):
    path = tmp_path / "other.jsonl"
    path.write_text(content)
    with pytest.raises(UserError, match=words):
        files.read(path, said.append)


def test_results_of_two_suites_are_not_compared(path, said):
    a = files.read(path, said.append)
    b = Results({**HEADER, "suite": "addition"}, a.lines)
    with pytest.raises(UserError, match="'text' in one and 'addition' in the other"):
        files.same_items(a, b)
    with pytest.raises(UserError, match="no item in common"):
        files.same_items(a, Results(HEADER, [line("z")]))


def test_of_what_is_left_out_three_are_named():
    lines = [{"item": f"line {i}", "left_out": f"line {i} is odd."} for i in range(1, 6)]
    assert files.left_out([line("a"), *lines[:1]]) == "1 of 2 left out; line 1 is odd."
    assert files.left_out(lines) == (
        "5 of 5 left out; line 1 is odd; line 2 is odd; line 3 is odd; and 2 more.")


def test_models_have_short_names_where_these_differ():
    several = [Results({**HEADER, "model": one}, []) for one in ("a/run", "b/run", "c/other.gguf")]
    assert list(files.short_names(several).values()) == ["a/run", "b/run", "other.gguf"]


def test_where_nothing_differs_no_size_of_a_difference_is_claimed():
    change = difference(np.zeros(6), np.zeros(6), np.ones(6), np.random.default_rng(0))
    said = files.told(change, "exact", False, percent=True)
    assert "no difference is seen" in said and "cannot say" in said
    assert "could have shown" not in said


@pytest.mark.parametrize(("lower_is_better", "word"), [(True, "better"), (False, "worse")])
def test_how_much_better_or_worse_is_said_without_signs(lower_is_better, word):
    a = np.linspace(2.0, 3.0, 30)
    b = a - np.linspace(0.10, 0.14, 30)
    change = difference(a, b, np.ones(30), np.random.default_rng(0))
    said = files.told(change, "bits", lower_is_better)
    assert said.startswith(f"{word} by 0.12 bits, 95 % between 0.11") and "and 0.12" in said


@pytest.mark.parametrize("value, text", [(12.3456, "12.35"), (30278.4, "30,278"),
                                         (1.162e17, "1.162e+17")])
def test_a_number_is_as_short_as_can_be_read(value, text):
    assert files.shown_interval(Interval(value, value, value, 1.0, 9))[0] == text
