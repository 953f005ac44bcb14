"""Items out of files: whatever the file, the same questions and answers."""

import csv
import json
import sys

import pytest

from tests.tinygpt.evaluation.test_multiple_choice import MAKERS
from tinygpt.errors import UserError
from tinygpt.evaluation.questions import read_questions
from tinygpt.evaluation.suites.files import answers_suite
from tinygpt.text import DataError


def write_table(path, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",").writerows(rows)


@pytest.mark.parametrize("name", MAKERS)
def test_parquet_holds_the_same_questions_as_lines_of_json(name, tmp_path):
    pa = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    from pyarrow import parquet

    records = [MAKERS[name](i) for i in range(7)]
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in records))
    parquet.write_table(pa.Table.from_pylist(records), tmp_path / "a.parquet")
    assert read_questions(tmp_path / "a.parquet") == read_questions(tmp_path / "a.jsonl")


def test_answers_are_read_from_every_kind_of_file(tmp_path):
    rows = [("a", "b"), ('say "c",\nd', "e")]
    records = [{"prompt": prompt, "answer": answer} for prompt, answer in rows]
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in records))
    (tmp_path / "a.json").write_text(json.dumps(records, indent=1))
    for name in ("a.csv", "a.tsv"):
        write_table(tmp_path / name, [("prompt", "answer"), *rows])
    found = {
        (task.prompt, task.wanted) for name in ("a.jsonl", "a.json", "a.csv", "a.tsv")
        for task in answers_suite(tmp_path / name).tasks
    }
    assert found == {(prompt, (answer,)) for prompt, answer in rows}


def test_answers_are_read_from_parquet(tmp_path):
    pa = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    from pyarrow import parquet

    records = [{"prompt": "a", "answer": ["b", "c"]}, {"prompt": "d", "answer": None}]
    parquet.write_table(pa.Table.from_pylist(records), tmp_path / "a.parquet")
    suite = answers_suite(tmp_path / "a.parquet")
    assert [(task.prompt, task.wanted) for task in suite.tasks] == [("a", ("b", "c"))]
    assert "line 2 of " in suite.notes[0]
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        answers_suite(tmp_path / "bad.parquet")


@pytest.mark.parametrize("read", [read_questions, answers_suite])
def test_without_pyarrow_a_sentence_says_what_to_install(read, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match="pip install pyarrow"):
        read(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="no file"):
        read(tmp_path / "b.parquet")


def test_truthfulqa_is_read_from_its_table_too(tmp_path):
    write_table(tmp_path / "TruthfulQA.csv", [
        ("Type", "Question", "Best Answer", "Correct Answers", "Incorrect Answers", "Source"),
        ("x", "What?", "Glass", "Glass; Mostly glass", "Straw;  Air;", "y"),
    ])
    form, (single, shared) = read_questions(tmp_path / "TruthfulQA.csv")
    assert form == "TruthfulQA" and single.fields == {"question": "What?"}
    assert (single.choices, single.right, single.mass) == (("Glass", "Straw", "Air"), (0,), False)
    assert (shared.choices, shared.right) == (("Glass", "Mostly glass", "Straw", "Air"), (0, 1))
    assert shared.mass


def test_choices_of_ones_own_stand_in_a_cell_as_a_list(tmp_path):
    write_table(tmp_path / "own.csv", [
        ("question", "choices", "answer"), ("a", '["b", "c"]', "c"), ("d", "e or f", "e"),
        ("g", '"hi"', "h"),
    ])
    _, (good, bad, text) = read_questions(tmp_path / "own.csv")
    assert good.choices == ("b", "c") and good.right == (1,)
    assert "is not JSON" in bad.why and 'as its choices, not a list' in text.why


def test_what_is_no_object_is_left_out_with_its_line(tmp_path):
    good = {"question": "a", "choices": ["b", "c"], "answer": 0}
    (tmp_path / "a.json").write_text(json.dumps([good, 3, good]))
    (tmp_path / "a.jsonl").write_text(f"{json.dumps(good)}\n[1]\n{json.dumps(good)}\n")
    for name in ("a.json", "a.jsonl"):
        _, (_, wrong, _) = read_questions(tmp_path / name)
        assert "line 2 of " in wrong.why and "not an object" in wrong.why


def test_a_cell_of_a_megabyte_is_read_and_one_that_never_ends_is_named(tmp_path):
    write_table(tmp_path / "long.csv", [("prompt", "answer"), ("a" * 1_000_000, "b")])
    assert len(answers_suite(tmp_path / "long.csv").tasks[0].prompt) == 1_000_000
    (tmp_path / "open.csv").write_text('prompt,answer\n"' + "a" * ((1 << 24) + 1))
    with pytest.raises(DataError, match="line 2 of .* is no row"):
        answers_suite(tmp_path / "open.csv")
