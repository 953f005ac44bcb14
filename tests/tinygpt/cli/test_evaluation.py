"""tinygpt evaluate and compare, as somebody types them."""

import json

import pytest

from tinygpt.cli import main
from tinygpt.evaluation.judge import Judge
from tinygpt.training.begin import begin
from tinygpt.training.trainer import Trainer


@pytest.fixture
def run(tiny_config, tmp_path):
    Trainer(begin(tiny_config, tmp_path / "run")).run()
    return tmp_path / "run"


def call(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(one) for one in arguments])
    return stop.value.code


def test_a_run_is_measured_on_a_text_and_compared(run, tiny_text, tmp_path, capsys):
    assert call("evaluate", run, "--data", tiny_text, "--bytes", 9000) == 0
    said = capsys.readouterr().out
    assert "bits per byte" in said and "95 %" in said and "xz" in said
    saved = run / "evaluations" / f"text-{tiny_text.stem}.jsonl"
    assert json.loads(saved.read_text().splitlines()[0])["suite"] == "text"
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(saved.read_bytes())
    assert call("compare", saved, copy) == 0
    assert "no difference is seen" in capsys.readouterr().out
    assert call("compare", saved, run, "--data", tiny_text, "--bytes", 9000) == 0


def test_one_set_of_questions_after_another_is_kept_and_stands_on_the_page(run, tmp_path, capsys):
    for name, answer in (("cats", 0), ("dogs", 1)):
        line = json.dumps({"question": "a", "choices": ["b", "c"], "answer": answer})
        (tmp_path / f"{name}.jsonl").write_text(line + "\n")
        assert call("evaluate", run, "--suite", "questions", "--data", tmp_path / f"{name}.jsonl",
                    "--template", "plain") == 0
    assert {path.name for path in (run / "evaluations").glob("*")} == {
        "questions-cats.jsonl", "questions-dogs.jsonl"}
    page = (run / "evaluation.html").read_text()
    assert "<h2>dogs</h2>" in page and "<h2>cats</h2>" in page
    old = run / "evaluations" / "questions-cats.jsonl"  # as of a run that has learned since
    header, *lines = old.read_text().splitlines()
    header = json.dumps({**json.loads(header), "identity": "another"})
    old.write_text("\n".join([header, *lines]) + "\n")
    capsys.readouterr()
    assert call("card", run) == 0
    assert "learned since: cats" in " ".join(capsys.readouterr().err.split())
    card = (run / "MODEL_CARD.md").read_text()
    assert "### dogs" in card and "### cats" not in card


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [(["--suite", "nothing"], 2, "there is no suite 'nothing'"),
     (["--data", "missing.txt"], 2, "missing.txt"),
     (["--suite", "text", "--suite", "text", "--out", "x"], 2, "--out is a file for one suite")],
)
def test_a_mistake_is_one_sentence(run, arguments, code, words, capsys):
    assert call("evaluate", run, *arguments) == code
    assert words in capsys.readouterr().err


def test_a_text_of_unknown_characters_says_so(run, tmp_path, capsys):
    path = tmp_path / "other.txt"
    path.write_text("Ünknown")
    assert call("evaluate", run, "--data", path) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "nothing of the text could be measured" in said and "Ü" in said


def written(path, model, texts):
    header = {"results": 1, "suite": "answers", "kind": "written", "model": model, "identity": "1",
              "settings": {}, "notes": []}
    lines = [{"item": str(i), "prompt": f"question {i}", "written": text, "wanted": [f"yes {i}"],
              "scores": {"exact": float(text == f"yes {i}")}, "cluster": str(i)}
             for i, text in enumerate(texts)]
    path.write_text("".join(json.dumps(one) + "\n" for one in (header, *lines)))
    return path


@pytest.mark.parametrize("knows", [True, False])
def test_a_judge_says_whose_answers_are_better_once_it_can_tell(
    tmp_path, capsys, monkeypatch, knows
):
    class Knowing(Judge):
        def letters(self, pairs):
            return ["B" if knows and one.b == one.question.replace("question", "yes") else "A"
                    for one in pairs]

    monkeypatch.setattr("tinygpt.evaluation.judge.open_judge", lambda given: Knowing())
    half = [f"yes {i}" if i % 2 else "no" for i in range(60)]
    a = written(tmp_path / "a.jsonl", "half", half)
    b = written(tmp_path / "b.jsonl", "right", [f"yes {i}" for i in range(60)])
    assert call("compare", a, b, "--judge", "anything") == 0
    said = " ".join(capsys.readouterr().out.split())
    if knows:
        assert "60 of 60 pairs judged" in said and "prefers B's answer 30 times" in said
    else:
        assert "not trusted" in said and "prefers" not in said


def test_a_judge_of_what_was_never_written_is_refused(run, tiny_text, capsys):
    assert call("compare", run, run, "--data", tiny_text, "--bytes", 9000, "--judge", run) == 1
    assert "a judge reads what models wrote, and text" in " ".join(capsys.readouterr().err.split())
