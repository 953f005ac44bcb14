"""The race trains for real, on any text, and its clock stands still while it evaluates."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
TINY = ["model.n_layers=1", "model.d_model=16", "model.n_heads=2", "training.batch_size=4"]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("the cat sat on the mat and the dog ran after the cat\n" * 200)
    return path


def race(text, *options):
    settings = [word for key in (*TINY, "training.steps=40", "training.warmup_steps=4")
                for word in ("--set", key)]
    command = [sys.executable, "-m", "bench", "race", "--data", str(text), "--json", *settings]
    run = subprocess.run(
        [*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_race_stops_at_the_first_evaluation_below_the_target(text):
    result = race(text, "--target", "3.5", "--eval-every", "5")
    assert result["reached"] and result["loss"] <= 3.5
    assert result["step"] % 5 == 0 and result["step"] < 40 and result["seconds"] > 0


def test_race_that_never_gets_there_says_so(text):
    result = race(text, "--target", "0.0001", "--eval-every", "100")
    assert not result["reached"] and result["step"] == 40


def test_counts_race_by_the_length_of_their_n_grams(text):
    result = race(text, "--peer", "ngram", "--target", "0.5", "--eval-every", "1")
    assert result["reached"] and 1 < result["step"] <= 6


@pytest.mark.slow
def test_torch_runs_the_same_recipe(text):
    pytest.importorskip("torch")
    ours, torch = (race(text, "--target", "0", *peer) for peer in ((), ("--peer", "torch")))
    assert torch["step"] == ours["step"] == 40
    assert torch["loss"] == pytest.approx(ours["loss"], rel=0.25)  # other weights, other batches


def test_profile_accounts_for_the_whole_step():
    result = CliRunner().invoke(main, ["profile", "--config", "S", "--steps", "1"])
    assert result.exit_code == 0, result.output
    shares = [float(line.split("%")[0].split()[-1]) for line in result.output.splitlines()[2:]]
    assert sum(shares) == pytest.approx(100, abs=1)
    assert "linear_backward" in result.output
