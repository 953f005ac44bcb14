"""A run while it is trained: its news, its checkpoints, its start and stop."""

import http.client
import json
from contextlib import closing

import numpy as np
import pytest

import tinygpt
from tests.tinygpt.serving.conftest import Room
from tinygpt.config import load_config
from tinygpt.errors import UserError
from tinygpt.runs.run import Run
from tinygpt.serving.inside.models import Models, steps_in
from tinygpt.serving.inside.runs import SAMPLE, Tail, Trainings, Watched, curves
from tinygpt.serving.served import Served
from tinygpt.training.begin import begin
from tinygpt.training.trainer import Trainer

SMALL = [
    "model.n_layers=2", "model.n_heads=2", "model.d_model=16", "model.context=16",
    "training.batch_size=4",
]


@pytest.fixture(scope="module")
def run(tiny_text, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "small"
    tinygpt.train("S", folder, [
        f"data.source={tiny_text}", *SMALL, "training.steps=40", "training.eval_every=20",
        "training.eval_tokens=200", "training.checkpoint_every=20", "training.sample_every=20",
    ])
    return folder


@pytest.fixture
def served(run):
    return Served.open(str(run), lambda text: None, {})[0]


def test_each_checkpoint_is_a_model_of_its_own(served):
    models = Models()
    steps = steps_in(served.path)
    assert steps[-1] == 40 and len(steps) >= 2
    ids = np.arange(8)[None]
    early, late = (models.at(served, step)(ids).data for step in (steps[0], steps[-1]))
    assert np.array_equal(late, served.model(ids).data)
    assert not np.array_equal(early, late)
    assert models.at(served, steps[0]) is models.at(served, steps[0])
    with pytest.raises(UserError, match="no checkpoint of step 7"):
        models.at(served, 7)


def test_the_news_of_a_run_are_all_there_is_and_then_what_is_new(run):
    watched = Watched(run, lambda: False)
    first = dict(watched.news())
    assert first["steps"]["step"] == list(range(1, 41))
    assert first["checkpoints"][-1] == 40 and first["state"] == {"running": False}
    assert first["samples"][-1]["step"] == 40
    assert watched.news() == []
    line = {"step": 41, "loss": 1.5, "lr": 0.1}
    metrics = run / "metrics.jsonl"
    before = metrics.read_text()
    try:
        metrics.write_text(before + json.dumps(line) + '\n{"step": 42, "lo')
        assert dict(watched.news())["steps"]["loss"] == [1.5]
        assert watched.news() == []
        metrics.write_text(before)
        again = watched.news()
        assert again[0] == ("anew", None) and len(again[1][1]["step"]) == 40
    finally:
        metrics.write_text(before)


def test_a_long_curve_is_thinned_and_keeps_its_evaluations():
    lines = [{"step": i, "loss": 1.0, "val_loss": 2.0 if i % 700 == 0 else None}
             for i in range(1, 3001)]
    found = curves(lines)
    assert 600 <= len(found["step"]) <= 610 and found["step"][-1] == 3000
    assert [v for v in found["val_loss"] if v] == [2.0] * 4


def test_damaged_lines_are_left_out(tmp_path):
    file = tmp_path / "x.jsonl"
    tail = Tail(file, SAMPLE)
    assert tail.read() == []
    file.write_bytes(b'{"step": 1, "text": "a"}\nnonsense\n{"step": 2}\n{"step": 3, "text": "b"}\n')
    assert [line["step"] for line in tail.read()] == [1, 3]


def test_what_was_not_started_here_is_not_stopped_here(run):
    trainings = Trainings()
    assert not trainings.running(run)
    with pytest.raises(UserError, match="was started from this page"):
        trainings.stop(run)


def test_the_screens_follow_a_training_that_the_page_starts(run, served):
    room = Room([served])
    try:
        found = room.post("/look/model", model=served.name)
        assert found["steps"][-1] == 40
        step = found["steps"][0]
        early = room.post("/look/next", text="the cat", step=step)
        assert early["before"] != room.post("/look/next", text="the cat")["before"]
        assert "no checkpoint of step 9" in room.post(
            "/look/next", status=400, text="the cat", step=9)["error"]["message"]
    finally:
        room.stop()


def test_a_page_resumes_a_training_watches_it_and_stops_it(tiny_text, tmp_path):
    folder = tmp_path / "long"
    config = load_config("S", [
        f"data.source={tiny_text}", *SMALL, "training.steps=1000000", "training.eval_every=none",
        "training.sample_every=none", "training.checkpoint_every=1000000",
    ])
    session = begin(config, folder)
    enough = lambda: "enough" if session.state.step == 10 else None  # noqa: E731
    assert Trainer(session, stops=[enough]).run().step == 10
    room = Room([Served.open(str(folder), lambda text: None, {})[0]], train=True)
    try:
        assert room.post("/look/model")["control"] is True
        room.post("/look/training/resume")
        with closing(news(room)) as events:
            until(events, lambda event, value: event == "state" and value["running"])
            until(events, lambda event, value: event == "steps" and value["step"][-1] > 12)
            again = room.post("/look/training/resume", status=400)
            assert "is under way" in again["error"]["message"]
            room.post("/look/training/stop")
            until(events, lambda event, value: event == "state" and not value["running"])
    finally:
        room.stop()
    assert Run.open(folder).find().step > 12
    assert not Trainings().running(folder)


def news(room):
    """The events of /look/training as they come."""
    connection = http.client.HTTPConnection("127.0.0.1", room.port, timeout=60)
    connection.request("POST", "/look/training", "{}", {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200
    try:
        while line := answer.readline():
            if line.startswith(b"data: "):
                found = json.loads(line.removeprefix(b"data: "))
                yield found["event"], found["value"]
    finally:
        answer.close()
        connection.close()


def until(events, holds):
    for event, value in events:
        if holds(event, value):
            return
    raise AssertionError("the stream ended")


def test_the_history_keeps_what_checkpoints_do_not(tiny_text, tmp_path):
    folder = tmp_path / "kept"
    settings = [
        f"data.source={tiny_text}", *SMALL, "training.eval_every=none",
        "training.sample_every=none", "training.history_every=10",
    ]
    tinygpt.train("S", folder, [*settings, "training.steps=30"])
    served = Served.open(str(folder), lambda text: None, {})[0]
    assert steps_in(served.path) == [0, 10, 20, 30]
    models, ids = Models(), np.arange(8)[None]
    logits = [models.at(served, step)(ids).data for step in steps_in(served.path)]
    assert np.array_equal(logits[3], served.model(ids).data)
    assert len({x.tobytes() for x in logits}) == 4
    whole = (folder / "history" / "step-00000010.safetensors").read_bytes()
    (folder / "history" / "step-00000010.safetensors").write_bytes(whole[:-8])
    with pytest.raises(UserError, match="Look at another step"):
        Models().at(served, 10)
