"""tinygpt evaluate and compare, as somebody types them."""

import json

import numpy as np
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


def test_of_two_the_missing_one_is_named(tmp_path, capsys):
    there = written(tmp_path / "there.jsonl", "there", ["yes 0"])
    assert call("compare", there, tmp_path / "gone.jsonl") in (1, 2)
    said = " ".join(capsys.readouterr().err.split())
    assert "gone.jsonl" in said and "there.jsonl" not in said


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


def written(path, model, texts, identity="1"):
    header = {"results": 1, "suite": "answers", "kind": "written", "model": model,
              "identity": identity, "settings": {}, "notes": []}
    lines = [{"item": str(i), "prompt": f"question {i}", "written": text, "wanted": [f"yes {i}"],
              "scores": {"exact": float(text == f"yes {i}")}, "cluster": str(i)}
             for i, text in enumerate(texts)]
    path.write_text("".join(json.dumps(one) + "\n" for one in (header, *lines)))
    return path


def trained_again(tmp_path, shares):
    """Arguments of compare: files of 60 answers, of which such shares are right."""
    found = []
    for i, share in enumerate(shares):
        right = np.random.default_rng(i).random(60) < share
        texts = [f"yes {j}" if one else "no" for j, one in enumerate(right)]
        path = written(tmp_path / f"{i}.jsonl", f"run{i}", texts, identity=str(i))
        found += ["--again"] * (i % 2 == 0 < i) + [path]
    return found


def test_recipes_are_compared_over_their_trainings(tmp_path, capsys):
    surely = trained_again(tmp_path, [0.3, 0.6, 0.25, 0.65, 0.35, 0.6])
    assert call("compare", *surely) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "3 trainings of each" in said and "B, exact: better by" in said
    by_luck = trained_again(tmp_path, [0.3, 0.7, 0.7, 0.3, 0.2, 0.4])
    assert call("compare", *by_luck[:2]) == 0
    assert "better by" in capsys.readouterr().out
    assert call("compare", *by_luck) == 0
    assert "no difference is seen" in capsys.readouterr().out


def test_trainings_that_are_too_few_or_one_are_refused(tmp_path, capsys):
    files = trained_again(tmp_path, [0.3, 0.6, 0.25, 0.65])
    assert call("compare", *files) == 2
    assert "say nothing of a third" in capsys.readouterr().err
    assert call("compare", *files, "--again", *files[:2]) == 1
    assert "are one model" in " ".join(capsys.readouterr().err.split())


def test_no_run_is_compared_on_what_it_learned_and_another_held_out(
    tiny_config, tmp_path, capsys
):
    folder, rng = tmp_path / "texts", np.random.default_rng(0)
    folder.mkdir()
    for i in range(20):
        words = rng.choice("one two three four five six seven eight nine ten".split(), 80)
        (folder / f"{i}.txt").write_text(" ".join(words))
    for seed in (1, 2):
        config = tiny_config.replace("training", steps=1, seed=seed)
        config = config.replace("data", source=str(folder), by_position=False, split=(0.8, 0.2, 0))
        Trainer(begin(config, tmp_path / str(seed))).run()
    assert call("compare", tmp_path / "1", tmp_path / "2") == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "2 has learned from" in said and "would repeat them" in said
    assert call("compare", tmp_path / "1", tmp_path / "1") == 0


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
