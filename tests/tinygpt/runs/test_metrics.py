"""metrics.jsonl as it is found: readers see whole lines of the right types, whatever it holds."""

import csv
import json

import pytest

from tinygpt.errors import UserError
from tinygpt.runs import metrics

GOOD = {
    "step": 1, "tokens": 64, "loss": 4.2, "lr": 1e-05, "grad_norm": 1.3,
    "tokens_per_second": 51000.0, "rss_bytes": 98000000, "seconds": 0.015, "reward": 0.5,
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"step": "1"}, {"step": -1}, {"step": 1.5}, {"step": True}, {"step": 2**63}, {"step": None},
        {"loss": "4"}, {"loss": [4]}, {"loss": 1e300}, {"val_loss": {}}, {"lr": True},
        {"event": 3}, {"text": None}, {"skipped": 1}, {"rss_bytes": 0.5}, {"reward": "high"},
    ],
)
def test_a_line_of_other_types_is_left_out_with_a_warning(tmp_path, wrong):
    path, said = tmp_path / "metrics.jsonl", []
    lines = [GOOD, {**GOOD, "step": 2, **wrong}, {**GOOD, "step": 3, "loss": None}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert list(metrics.read(path, said.append)) == [lines[0], lines[2]]
    assert len(said) == 1 and "1 of 3 lines" in said[0]
    metrics.rewind(path, 2, said.append)
    assert list(metrics.read(path)) == [lines[0]] and len(said) == 2


def test_numbers_that_are_none_and_bytes_that_are_no_text_are_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    wrong = b'{"step": 1, "loss": NaN}\n\xff\xfe\n{"step": 2, "loss": 1e999}\n'
    path.write_bytes(wrong + b'{"step": 3}\n')
    assert list(metrics.read(path)) == [{"step": 3}]
    assert metrics.write_csv(path, tmp_path / "table.csv") == 1


def test_a_text_that_is_no_unicode_goes_into_the_table(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "event": "warning", "text": "cannot write \\udcff"}\n')
    assert metrics.write_csv(path, tmp_path / "table.csv") == 1


def test_what_is_no_file_is_refused_and_what_is_not_there_is_empty(tmp_path):
    assert list(metrics.read(tmp_path / "none")) == []
    with pytest.raises(UserError, match="no regular file"):
        list(metrics.read(tmp_path))
    path = tmp_path / "metrics.jsonl"
    path.write_text("")
    with pytest.raises(UserError, match="cannot write"):
        metrics.write_csv(path, tmp_path)


def never(text):
    raise AssertionError(text)


def test_a_step_and_an_event_are_a_line_each(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log = metrics.MetricsLog(path, never)
    values = (64, 1.23456789012, 1e-05, float("inf"), 51000.0, 98000000, 0.015)
    log.step(metrics.StepMetrics(1, *values, logged={"reward": 0.1234567891}))
    log.step(metrics.StepMetrics(2, *values, skipped="why"), val_loss=float("nan"))
    log.event(2, "skip", "step 2 skipped: why")
    first, second, third = (json.loads(line) for line in path.read_text().splitlines())
    assert first == {
        "step": 1, "tokens": 64, "loss": 1.23456789, "lr": 1e-05, "grad_norm": None,
        "tokens_per_second": 51000.0, "rss_bytes": 98000000, "seconds": 0.015,
        "reward": 0.123456789,
    }
    assert second["skipped"] == "why" and second["val_loss"] is None and "reward" not in second
    assert third == {"step": 2, "event": "skip", "text": "step 2 skipped: why"}


def test_rewinding_keeps_the_lines_up_to_a_step(tmp_path):
    path = tmp_path / "metrics.jsonl"
    metrics.rewind(path, 3)
    assert not path.exists()
    path.write_text("".join(f'{{"step": {step}}}\n' for step in (1, 2, 2, 3, 4)) + '{"st')
    metrics.rewind(path, 3)
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n{"step": 2}\n{"step": 3}\n'


def test_only_an_objective_knows_its_numbers():
    line = {**GOOD, "val_loss": 2.0, "event": "skip", "text": "a", "skipped": "b", "bias": None}
    assert metrics.logged_by_objective(line) == {"reward": 0.5}


def test_the_table_has_the_columns_of_every_run_and_then_the_objectives(tmp_path):
    path, target = tmp_path / "metrics.jsonl", tmp_path / "table.csv"
    lines = [GOOD, {"step": 2, "event": "skip", "text": "é, twice"}, {"step": 3, "bias": 1.5}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert metrics.write_csv(path, target) == 3
    with open(target, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == (*metrics.COLUMNS, "bias", "reward")
    assert rows[2] == ["2", *[""] * 9, "skip", "é, twice", "", ""]
    assert rows[3][-2:] == ["1.5", ""] and len(rows) == 4
