"""The house carries objectives that it does not know: train, die, resume, plan and report."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner

import tests.tinygpt.training.objectives  # noqa: F401  # it enters them into the table
from minigrad import nn
from tinygpt.cli.planning import plan
from tinygpt.cli.training import diagnose, export, train
from tinygpt.config import ConfigError, find_objective, from_dict
from tinygpt.runs import checkpoint as checkpoints
from tinygpt.runs import metrics as metrics_files
from tinygpt.runs.run import Run
from tinygpt.training.arrays import trained_arrays
from tinygpt.training.begin import begin, resume
from tinygpt.training.optimizer import make_optimizer
from tinygpt.training.state import TrainState
from tinygpt.training.trainer import Trainer
from tinygpt.training.trouble import RECENT, WINDOW, drifting, judge_norms
from tinygpt.weights.open import load_model

RECIPE = {
    "steps": 200, "batch_size": 16, "lr": 1e-2, "min_lr": 1e-3, "warmup_steps": 5,
    "eval_every": 50, "checkpoint_every": 7, "sample_every": None,
}
SHAPE = {"vocab_size": 9, "context": 8, "n_layers": 1, "n_heads": 2, "d_model": 16}


def regression(**recipe):
    return from_dict({"objective": "regression", "training": {**RECIPE, **recipe}})


def reinforce(**recipe):
    recipe = {**RECIPE, "steps": 60, "eval_every": 60, **recipe}
    return from_dict({"objective": "reinforce", "model": SHAPE, "training": recipe})


def final_bytes(path):
    newest = checkpoints.newest_good(path / "checkpoints")
    state = newest.state()
    del state["train"]["seconds"]
    return [(newest.path / f"{n}.safetensors").read_bytes() for n in ("model", "optimizer")], state


WORKER = """
import sys, json
import tests.tinygpt.training.objectives
from pathlib import Path
from tinygpt.config import from_dict
from tinygpt.training.begin import begin, resume
from tinygpt.training.trainer import Trainer
path = Path(sys.argv[1])
made = (path / "config.json").exists()
Trainer(resume(path) if made else begin(from_dict(json.loads(sys.argv[2])), path)).run()
"""


def worker(path, config):
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(path), json.dumps(config.to_dict())],
        env={**os.environ, "TINYGPT_THREADS": "2"},
    )


def killed_and_resumed(path, config, times=3):
    """Kill a training at `times` moments by SIGKILL, then let it finish."""
    log = path / "metrics.jsonl"
    for _ in range(times):
        process = worker(path, config)
        before = len(log.read_bytes()) if log.exists() else 0
        end = time.monotonic() + 60
        while process.poll() is None and (not log.exists() or len(log.read_bytes()) < before + 900):
            assert time.monotonic() < end
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert worker(path, config).wait() == 0


@pytest.mark.parametrize("make", [regression, reinforce])
def test_a_killed_training_ends_in_the_bytes_of_an_undisturbed_one(make, tmp_path):
    config = make()
    Trainer(begin(config, tmp_path / "straight")).run()
    killed_and_resumed(tmp_path / "killed", config)
    assert final_bytes(tmp_path / "killed") == final_bytes(tmp_path / "straight")


def test_a_rollout_that_was_half_used_is_resumed_to_the_bit(tmp_path):
    Trainer(begin(reinforce(), tmp_path / "straight")).run()
    session = begin(reinforce(), tmp_path / "run")
    halves = 0
    for stop in (4, 11, 20, 38):
        at = [lambda stop=stop, session=session: "x" if session.state.step >= stop else None]
        Trainer(session, stops=at).run()
        halves += bool(session.batches.waiting)
        session = resume(tmp_path / "run")
    assert halves >= 2  # most stops were in the middle of a rollout
    Trainer(session).run()
    assert final_bytes(tmp_path / "run") == final_bytes(tmp_path / "straight")


def test_regression_learns_and_logs_what_it_measured(tmp_path):
    outcome = Trainer(begin(regression(), tmp_path / "run")).run()
    lines = [m for m in metrics_files.read(tmp_path / "run/metrics.jsonl") if "loss" in m]
    assert outcome.val_loss < 0.5 * lines[0]["loss"]
    assert all(abs(m["bias"]) < 10 for m in lines)
    assert lines[-1]["tokens"] == 200 * 16


def test_a_policy_gradient_whose_losses_are_about_zero_is_never_rolled_back(tmp_path):
    session = begin(reinforce(steps=250), tmp_path / "run")
    outcome = Trainer(session).run()
    losses = [m["loss"] for m in metrics_files.read(tmp_path / "run/metrics.jsonl") if "loss" in m]
    assert min(losses) < 0 < max(losses)
    assert session.state.rollbacks == 0
    assert outcome.val_loss < 0.6  # chance is 8/9: it writes what it is rewarded for


def test_losses_of_both_signs_do_not_drift_and_rising_positive_ones_do():
    state = TrainState()
    for step in range(WINDOW + 50):
        state.step = step
        assert judge_norms(state, 0.3 * (-1) ** step + 0.004 * step, 1.0) is None
    assert drifting(state) is None
    for step in range(WINDOW):  # all positive by now, but once they were not
        judge_norms(state, 1.0 + 0.01 * step, 1.0)
    state.low = -0.1
    assert drifting(state) is None
    state = TrainState()
    for step in range(WINDOW + RECENT):
        state.step = step
        judge_norms(state, 2.0 + 0.01 * step, 1.0)
    assert "risen" in drifting(state)


def test_plan_report_diagnose_and_export_know_no_objective(tmp_path):
    toml = tmp_path / "r.toml"
    toml.write_text('objective = "regression"\n[training]\nsteps = 30\neval_every = 10\n'
                    "sample_every = 'none'\n")
    call = CliRunner(env={"PYTHONPATH": "."}).invoke
    planned = call(plan, [str(toml)], catch_exceptions=False)
    assert planned.exit_code == 0 and "30 steps of 12 x 1 tokens" in planned.output
    assert " a step, " in planned.output  # the trial ran, in a process of its own
    out = str(tmp_path / "run")
    done = call(train, [str(toml), "--out", out], catch_exceptions=False, standalone_mode=False)
    assert "Done: 30 steps, held-out loss" in done.output
    page = (tmp_path / "run/report.html").read_text(encoding="utf-8")
    assert "learning <b>regression</b>" in page and page.count("<svg") >= 4
    assert "GPT" not in page and "token, in nats" not in page
    assert "<h2>bias</h2><svg" in page  # what only this objective measures
    told = call(diagnose, [out], catch_exceptions=False, standalone_mode=False).output
    assert "this model" in told and "gradient norm by part" in told and "unigram" not in told
    (tmp_path / "run/report.html").unlink()
    table = tmp_path / "table.csv"
    assert call(export, [out, "--csv", str(table)], catch_exceptions=False).exit_code == 0
    assert (tmp_path / "run/report.html").exists()
    assert table.read_text().splitlines()[0].endswith(",bias")


def test_what_only_a_language_model_can_do_says_so(tmp_path):
    begin(regression(), tmp_path / "run")
    with pytest.raises(Exception, match="makes no language model"):
        load_model(Run.open(tmp_path / "run"))


def test_an_unknown_objective_and_a_foreign_section_are_named():
    with pytest.raises(ConfigError, match="unknown configuration objective 'regresion'.*regress"):
        from_dict({"objective": "regresion"})
    with pytest.raises(ConfigError, match="unknown configuration section 'model'"):
        from_dict({"objective": "regression", "model": {}})


def test_what_is_frozen_has_no_moments_and_is_not_saved():
    model = find_objective("regression")(regression()).build(np.random.default_rng(0))
    assert isinstance(model, nn.Sequential)
    first = next(iter(model))
    first.requires_grad_(False)
    optimizer = make_optimizer(model, regression().training)
    assert len(optimizer.state) == 2
    assert set(trained_arrays(model)) == {"2.weight", "2.bias"}
