"""metrics.jsonl as it is found: readers see whole lines of the right types, whatever it holds."""

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
