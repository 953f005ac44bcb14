"""`tinygpt learn`: a learner's folder is hers, and bad input is answered in a sentence."""

import json
import os

import pytest

from tinygpt.cli import main
from tinygpt.course.exercises import exercises
from tinygpt.course.folder import begun
from tinygpt.course.watching import changes


@pytest.fixture
def learn(tmp_path, monkeypatch, capfd):
    """Call the command in an empty folder: (exit code, what it wrote)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def call(*words):
        with pytest.raises(SystemExit) as stop:
            main(["learn", *words])
        said = capfd.readouterr()
        return stop.value.code, said.out + said.err

    return call


def test_a_new_learner_begins_is_wrong_and_then_right(learn, tmp_path):
    assert learn("start")[0] == 0
    answers = tmp_path / "learn/shapes.py"
    text = answers.read_text()
    answers.write_text(text.replace("a = ...", "a = (4, 5, 3, 3)"))
    code, said = learn("check")
    assert code == 1 and "Axes are matched from the right" in said and "Not yet" in said
    for old, new in (("a", "(4, 5, 3)"), ("b", "(4,)"), ("c", "(6, 4)"), ("d", "(2, 8, 10, 10)"),
                     ("e", "50.3")):
        text = text.replace(f"{old} = ...", f"{old} = {new}")
    answers.write_text(text)
    code, said = learn("check")
    assert code == 0 and f"1 of {len(exercises())} are yours" in said and "start tanh" in said
    assert "1 of " in learn("progress")[1]


def test_no_command_changes_a_file_of_hers(learn, tmp_path):
    learn("start", "product")
    file = tmp_path / "learn/product.py"
    file.write_text("hers\n")
    code, said = learn("start", "product")
    assert code == 1 and "is there already, and is yours" in said
    for words in (("hint",), ("show", "--yes"), ("list",), ("progress",)):
        learn(*words)
    assert file.read_text() == "hers\n"
    assert learn("reset", "product")[0] == 0
    assert (tmp_path / "learn/product.py.1").read_text() == "hers\n"
    assert file.read_text() == begun(exercises()[2])
    learn("reset", "product")
    assert (tmp_path / "learn/product.py.1").read_text() == "hers\n"


def test_hints_say_more_each_time_and_then_lead_to_the_solution(learn):
    learn("start", "tanh")
    said = [learn("hint")[1] for _ in range(4)]
    assert len(set(said[:3])) == 3 and said[3] == said[2]
    assert "learn show tanh" in said[2]
    assert "dy * (1 - y * y)" in learn("show", "--yes")[1]


@pytest.mark.parametrize("words, code, says", [
    (("start", "sofmax"), 2, "Did you mean softmax?"),
    (("check",), 2, "no exercise is begun"),
    (("check", "tanh"), 1, "there is no learn/tanh.py"),
    (("hint", "999"), 2, "there is no exercise '999'"),
    (("--folder", "file", "list"), 2, "file"),
])
def test_bad_input_is_answered_in_a_sentence(learn, tmp_path, words, code, says):
    (tmp_path / "file").write_text("")
    found, said = learn(*words)
    assert found == code and says in said and "Traceback" not in said


def test_damaged_progress_is_said_and_nothing_lost(learn, tmp_path):
    learn("start", "tanh")
    (tmp_path / "learn/progress.json").write_text('{"version": 1}')
    code, said = learn("list")
    assert code == 1 and "has no current" in said and "your exercises are in files" in said
    assert (tmp_path / "learn/tanh.py").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_that_is_read_only(learn, tmp_path):
    (tmp_path / "learn").mkdir(mode=0o555)
    code, said = learn("start", "tanh")
    assert code == 1 and "cannot write in learn" in said and "--folder" in said


def test_progress_survives_an_exercise_that_another_version_had(learn, tmp_path):
    learn("start", "tanh")
    path = tmp_path / "learn/progress.json"
    state = json.loads(path.read_text())
    state["exercises"]["gone"] = state["exercises"]["tanh"] | {"passed": "2026-01-01 00:00"}
    path.write_text(json.dumps(state))
    assert learn("list")[0] == 0


def test_watching_sees_a_file_saved(tmp_path, monkeypatch):
    path = tmp_path / "a.py"
    path.write_text("1")
    saves = iter(["22", "333"])

    def sleep(seconds):
        path.write_text(next(saves))

    monkeypatch.setattr("tinygpt.course.watching.time.sleep", sleep)
    seen = changes(path)
    next(seen)
    assert path.read_text() == "22"
    next(seen)
    assert path.read_text() == "333"
