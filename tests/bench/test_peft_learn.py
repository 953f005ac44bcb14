"""Every method learns, is asked and is drawn; what is there is not learned again."""

import json

import pytest
from click.testing import CliRunner

from bench import peft, peft_learn
from bench.__main__ import main

ROW = {"method": "full", "trained": 1000, "share": 100.0, "peak_mb": 50.0, "seconds": 0.1,
       "asked": 200, "right": 90.0, "ended": 100.0, "forgot": 0.5}


@pytest.mark.slow  # a minute: each asks 200 questions
def test_two_methods_learn_and_are_drawn(tmp_path):
    short = {"base": {"steps": 1, "batch_size": 2}, "task": {"steps": 2, "batch_size": 2}}
    peft_learn.learn(tmp_path, ["full"], short)
    peft_learn.learn(tmp_path, ["full", "prefix"], short)
    full, prefix = peft_learn.lines_of(tmp_path)
    assert (full["method"], prefix["method"]) == ("full", "prefix")
    assert full["share"] == 100 and prefix["share"] < 20
    assert full["asked"] == 200 and full["forgot"] != 0
    told = CliRunner().invoke(main, ["peft", "--draw", str(tmp_path)], catch_exceptions=False)
    assert "| prefix |" in told.output and (tmp_path / "peft.svg").exists()


def test_the_chart_names_each_method_once_and_each_panel(tmp_path):
    lines = [ROW, {**ROW, "method": "lora", "share": 3.0}]
    drawn = peft_learn.figure(lines)
    assert drawn.count(">lora</text>") == 1
    for title in peft_learn.PANELS:
        assert title in drawn
    (tmp_path / "peft.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "3.00 %" in peft_learn.table(peft_learn.lines_of(tmp_path))


def test_nothing_to_draw_is_said(tmp_path):
    done = CliRunner().invoke(main, ["peft", "--draw", str(tmp_path)])
    assert done.exit_code == 1 and "no result in" in done.output


def test_the_ledger_of_a_step_is_of_the_step_that_is_made(monkeypatch, capsys):
    """The same values are trained, on rows of the same length."""
    tiny = {"family": "llama", "vocab_size": 64, "n_layers": 2, "n_heads": 2, "d_model": 64}
    monkeypatch.setitem(peft.SHAPES, "tiny", tiny)
    monkeypatch.setattr(peft, "FORGET", peft.ROOT / "no such file")  # the tests' own peak
    for method in ("full", "qlora", "prefix"):
        spec = {"shape": "tiny", "layers": 0, "context": 32, "rank": 2, "method": method}
        peft.child(spec)
        found = json.loads(capsys.readouterr().out)
        ours = peft.Ours(spec)
        objective = peft.objective_of(spec, ours.shape)
        assert found["trained"] == objective.parameters == ours.trained
        assert objective.length == ours.tokens
