"""`tinygpt train --minutes`: three lines, a training that ends, and contradictions refused."""

import json

import pytest
from click.testing import CliRunner

from tinygpt.cli.training import train
from tinygpt.config import ConfigError
from tinygpt.planning import dial
from tinygpt.planning.probe import Measured
from tinygpt.training.deadline import Deadline

SMALL = ("model.d_model=16", "model.n_layers=1", "model.context=16", "training.batch_size=2")


@pytest.fixture
def quick(monkeypatch):
    """A trial that need not be made: a step takes 2 ms; and a time that is soon over."""
    monkeypatch.setattr(Deadline, "steps", lambda self, made, planned: min(planned, 40))
    measured = Measured(0, 0, 0, 0, 2, (0.002, 0.002, 0.002), 0.0)
    monkeypatch.setattr(dial, "measure", lambda objective, seconds: measured)


def called(*arguments):
    done = CliRunner().invoke(train, [str(a) for a in arguments], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done


def settings(values):
    return [part for text in values for part in ("--set", text)]


def test_the_dial_says_what_it_chose_and_is_done(quick, tiny_text, tmp_path):
    out = tmp_path / "run"
    done = called("--data", tiny_text, "--minutes", 2, "--out", out, *settings(SMALL))
    assert done.return_value == 0
    said = [line.split(":")[0] for line in done.output.splitlines()]
    assert [name for name in said if name in ("Text", "Model", "Training")] == [
        "Text", "Model", "Training"]
    assert "bits per byte" in done.output
    kept = json.loads((out / "config.json").read_text())
    assert kept["model"]["d_model"] == 16 and kept["training"]["optimizer"] == "muon"
    state = json.loads(max((out / "checkpoints").glob("*/state.json")).read_text())
    assert state["train"]["step"] == kept["training"]["steps"]


def test_a_configuration_keeps_all_but_its_steps(quick, tiny_text, tmp_path):
    out = tmp_path / "run"
    done = called("S", "--data", tiny_text, "--minutes", 2, "--out", out, *settings(SMALL))
    kept = json.loads((out / "config.json").read_text())
    assert done.return_value == 0 and kept["training"]["lr"] == 1e-2  # S's own
    assert kept["training"]["steps"] == 40


@pytest.mark.parametrize(("arguments", "said"), [
    (("--minutes", "0"), "above 0"), (("--minutes", "nan"), "above 0"),
    (("--minutes", "inf"), "above 0"), (("--minutes", "-3"), "above 0"),
    (("--minutes", "5", "--resume"), "Leave --minutes out"),
    (("S", "--minutes", "5", "--set", "training.steps=5"), "Give one of them"),
    (("--minutes", "5", "--data", "-"), "a pipe can be read once"),
    (("--minutes", "5", "--set", "model.family=bert"), "go on with a text"),
    (("--minutes", "1e-9"), "more --minutes"),
])
def test_what_cannot_be_is_a_usage_error(quick, arguments, said, tiny_text, tmp_path):
    data = [] if "--data" in arguments else ["--data", tiny_text]
    with pytest.raises(Exception, match=said) as caught:
        called(*arguments, *data, "--out", tmp_path / "run")
    assert getattr(caught.value, "exit_code", None) == 2
    assert not (tmp_path / "run").exists()


def test_a_time_too_short_for_any_steps_leaves_nothing(monkeypatch, tiny_text, tmp_path):
    slow = Measured(0, 0, 0, 0, 2, (60.0, 60.0, 60.0), 0.0)
    monkeypatch.setattr(dial, "measure", lambda objective, seconds: slow)
    with pytest.raises(ConfigError, match=r"Give \d+\.\d more --minutes"):
        called("--data", tiny_text, "--minutes", 0.2, "--out", tmp_path / "run", *settings(SMALL))
    assert not (tmp_path / "run" / "config.json").exists()
