"""Prompts are read, answered twice, judged and exported, by the command."""


import pytest
from click import UsageError
from click.testing import CliRunner

from tinygpt.cli.feedback import feedback
from tinygpt.errors import UserError
from tinygpt.feedback.pairs import read_prompts
from tinygpt.feedback.store import Store
from tinygpt.text.files import DataError
from tinygpt.text.preferences import read_pairs, read_ratings


def call(*arguments):
    return CliRunner().invoke(feedback, [str(one) for one in arguments], catch_exceptions=False,
                              standalone_mode=False)


def test_prompts_are_lines_or_objects(tmp_path):
    text, lines = tmp_path / "prompts.txt", tmp_path / "prompts.jsonl"
    text.write_text("say cat\n\n say dog \n")
    lines.write_text('{"prompt": "say cat"}\n{"question": "say dog"}\n')
    assert read_prompts(str(text)) == read_prompts(str(lines)) == ["say cat", "say dog"]
    lines.write_text('{"prompt": "say cat"}\n{"text": "say dog"}\n')
    with pytest.raises(DataError, match=r"line 2 of .* has no prompt"):
        read_prompts(str(lines))
    text.write_text("\n")
    with pytest.raises(DataError, match="has no prompts"):
        read_prompts(str(text))


def test_answers_are_judged_and_exported(base, tmp_path, monkeypatch):
    prompts, out = tmp_path / "prompts.txt", tmp_path / "feedback.sqlite"
    prompts.write_text("".join(f"say {a} {b}\n" for a in ("cat", "dog") for b in ("hat", "mat")))
    served = []
    monkeypatch.setattr("tinygpt.cli.feedback._serve", lambda *given: served.append(given))
    assert call(base, "--prompts", prompts, "--out", out, "--max-tokens", 12).exit_code == 0
    assert served and out.exists()
    store = Store(out)
    items = store.items()
    assert 1 <= len(items) <= 4 and all(item.a != item.b and item.a for item in items)
    store.consent("mia")
    for item in items:
        store.judge("mia", item.id, "left" if store.left("mia", item.id) == "a" else "right", (),
                    "", 1.0)
    store.close()
    result = call("--out", out, "--agreement", "--export", tmp_path / "pairs.jsonl")
    assert f"{len(items)} pairs of {len(items)} verdicts" in " ".join(result.output.split())
    pairs = read_pairs(tmp_path / "pairs.jsonl")
    assert [pair.chosen.messages[-1].content for pair in pairs] == [item.a for item in items]
    assert "mia" not in (tmp_path / "pairs.jsonl").read_text()


def test_answers_that_are_all_alike_are_refused(base, tmp_path):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("say cat dog\n")
    with pytest.raises(UserError, match="all pairs of answers are alike"):
        call(base, "--prompts", prompts, "--out", tmp_path / "f", "--temperature", 1e-6)
    assert not (tmp_path / "f").exists()


def test_answers_are_rated_and_exported(base, tmp_path, monkeypatch):
    prompts, out = tmp_path / "prompts.txt", tmp_path / "feedback.sqlite"
    prompts.write_text("say cat hat\nsay dog mat\n")
    monkeypatch.setattr("tinygpt.cli.feedback._serve", lambda *given: None)
    call(base, "--prompts", prompts, "--rate", "--out", out, "--max-tokens", 12)
    store = Store(out)
    assert store.kind == "ratings" and len(store.items()) == 2
    store.consent("mia")
    for item, choice in zip(store.items(), ("good", "bad"), strict=True):
        store.judge("mia", item.id, choice, (), "", 1.0)
    store.close()
    exported = tmp_path / "ratings.jsonl"
    result = call("--out", out, "--export", exported)
    assert "2 rated answers of 2 verdicts" in " ".join(result.output.split())
    assert [one.good for one in read_ratings(exported)] == [True, False]
    with pytest.raises(UsageError, match="Leave --ties out"):
        call("--out", out, "--export", exported, "--ties")
    Store(tmp_path / "pairs.sqlite").close()
    with pytest.raises(UsageError, match="asks for choices between two answers"):
        call("--out", tmp_path / "pairs.sqlite", "--rate")


def test_what_is_missing_is_said(tmp_path):
    for arguments in (("--out", tmp_path / "none", "--agreement"), ("--out", tmp_path / "none")):
        with pytest.raises(UsageError):
            call(*arguments)
