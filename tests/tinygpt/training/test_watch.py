"""What the run's own watchers write, line by line."""

import json
import re
from types import SimpleNamespace

import pytest

from tinygpt.errors import UserError
from tinygpt.runs import metrics as metrics_files
from tinygpt.runs.metrics import StepMetrics
from tinygpt.training.watch import LogFile, MetricsFile, SamplesFile, describe

SESSION = SimpleNamespace(
    state=SimpleNamespace(step=3), config=SimpleNamespace(training=SimpleNamespace(steps=2000))
)


def line(step):
    return StepMetrics(step, 640, 2.25, 0.00125, 0.5, 51234.4, 98 << 20, 0.015)


def never(text):
    raise AssertionError(text)


def test_a_step_is_described_in_one_line():
    plain = "step    7/2000  loss 2.2500  lr 1.25e-03  51,234 tokens/s  98 MB"
    assert describe(line(7), 2000) == plain
    assert describe(line(7), 2000, 2.125) == plain.replace("2.2500", "2.2500  val 2.1250")


def test_the_log_has_what_was_measured_every_hundredth_step_samples_and_events(tmp_path):
    log = LogFile(tmp_path / "log.txt", never)
    log.start(SESSION)
    for step in (99, 100, 101, 200):
        log.step(line(step), None)
    log.step(line(250), 2.125)
    log.sample(250, "Once upon")
    log.event(251, "skip", "step 251 skipped: the loss is nan")
    log.close()
    text = (tmp_path / "log.txt").read_text(encoding="utf-8")
    said = re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", "", text, flags=re.M).splitlines()
    assert said == [
        "training starts at step 3 of 2000",
        describe(line(100), 2000),
        describe(line(200), 2000),
        describe(line(250), 2000, 2.125),
        "sample at step 250:", "Once upon",
        "step 251: step 251 skipped: the loss is nan",
        "training ends",
    ]
    often = LogFile(tmp_path / "often.txt", never, every=2)
    often.start(SESSION)
    for step in (1, 2):
        often.step(line(step), None)
    assert len((tmp_path / "often.txt").read_text().splitlines()) == 2


def test_metrics_go_on_from_the_step_of_the_session(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps({"step": step, "loss": 1.0}) + "\n" for step in range(1, 6)))
    file = MetricsFile(path, never)
    file.start(SESSION)
    file.step(line(4), 2.125)
    file.event(4, "skip", "why")
    file.sample(4, "not here")
    lines = list(metrics_files.read(path))
    assert [(one["step"], one.get("loss")) for one in lines] == [
        (1, 1.0), (2, 1.0), (3, 1.0), (4, 2.25), (4, None),
    ]
    assert lines[3]["val_loss"] == 2.125
    assert lines[4] == {"step": 4, "event": "skip", "text": "why"}


def test_samples_go_on_from_the_step_of_the_session(tmp_path):
    path = tmp_path / "samples.jsonl"
    path.write_text('{"step": 2, "text": "a"}\n{"step": 4, "text": "b"}\n')
    file = SamplesFile(path, never)
    file.start(SESSION)
    file.sample(4, "ż\n")
    assert [json.loads(one) for one in path.read_text().splitlines()] == [
        {"step": 2, "text": "a"}, {"step": 4, "text": "ż\n"},
    ]


@pytest.mark.parametrize("kind", [MetricsFile, SamplesFile])
def test_a_log_that_cannot_be_brought_back_stops_before_the_first_step(tmp_path, monkeypatch, kind):
    path = tmp_path / "lines.jsonl"
    path.write_text('{"step": 1}\n')

    def refuse(*args):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tinygpt.training.watch.rewind", refuse)
    with pytest.raises(UserError, match=r"cannot write to .*Read-only.*then --resume"):
        kind(path, never).start(SESSION)
