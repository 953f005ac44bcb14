"""Policies learn from rewards, stop and go on to the bit, and end well when a rule fails."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner

from minigrad.nn import evaluating
from tests.tinygpt.training.test_objectives import final_bytes
from tinygpt.alignment.scores import token_scores
from tinygpt.cli.alignment import align
from tinygpt.config import ConfigError, from_dict
from tinygpt.runs import metrics as metrics_files
from tinygpt.training.begin import begin, resume
from tinygpt.training.trainer import Trainer
from tinygpt.training.trouble import CannotGoOn
from tinygpt.weights.open import open_model

ALGORITHMS = ("rloo", "ppo", "grpo", "expert")  # the others differ in a loss (test_losses.py)


@pytest.fixture(scope="module")
def questions(base):
    """What the base was taught: capitals half of the time."""
    return base.parent / "talk.jsonl"


def config(base, questions, algorithm="grpo", method="full", policy=(), **training):
    return from_dict({
        "objective": "reinforcement", "base": str(base), "data": {"source": str(questions)},
        "method": {"name": method, "rank": 2},
        "policy": {"algorithm": algorithm, "prompts": 4, "group": 4, "most": 12,
                   "rewards": ["regex:^[A-Z ]+$"], **dict(policy)},
        "training": {"steps": 6, "batch_size": 16, "lr": 1e-3, "min_lr": 1e-4, "warmup_steps": 1,
                     "eval_every": None, "checkpoint_every": 2, "sample_every": None, **training},
    })


def mean_reward(session):
    """Of 20 prompts with 8 answers each."""
    objective = session.objective
    asked = objective.data.held_out[:20]
    drawn = objective.draw(session.model, asked, 8, np.random.default_rng(0))
    written = [objective.read(asked[i // 8], one) for i, one in enumerate(drawn)]
    return float(np.mean([one.text.isupper() and one.ended for one in written]))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_policy_learns_to_be_rewarded(base, questions, tmp_path, algorithm, monkeypatch):
    monkeypatch.setattr(  # the rule is tested elsewhere: no process for each rollout
        "tinygpt.alignment.rewards.run_pattern",
        lambda pattern, texts, seconds: [float(text.isupper()) for text in texts],
    )
    asked = config(base, questions, algorithm, steps=25, lr=3e-3,
                   policy={"prompts": 8, "group": 4, "beta": 0.01}, batch_size=32)
    session = begin(asked, tmp_path / "run")
    before = mean_reward(session)
    Trainer(session).run()
    assert before < 0.7 and mean_reward(session) > before + 0.2
    row = next(metrics_files.read(tmp_path / "run" / "metrics.jsonl"))
    assert {"reward", "kl", "length", "ended", "entropy"} <= row.keys()
    assert abs(row["kl"]) < 1e-3  # the policy began as its reference
    model, _ = open_model(tmp_path / "run")  # without the critic
    ids = np.arange(6)[None]
    np.testing.assert_array_equal(model(ids).data, session.model.eval()(ids).data)


@pytest.mark.parametrize(("algorithm", "method"), [("ppo", "full"), ("grpo", "lora"),
                                                   ("ppo", "lora"), ("reinforce", "full")])
def test_a_run_stopped_in_mid_rollout_ends_in_the_same_bytes(
    base, questions, tmp_path, algorithm, method
):
    """Eight steps to a rollout: 4 minibatches, learned from twice."""
    asked = config(base, questions, algorithm, method, steps=12, batch_size=4,
                   policy={"epochs": 2, "rewards": ["exact", "0.1*random"]})
    Trainer(begin(asked, tmp_path / "whole")).run()
    session = begin(asked, tmp_path / "stopped")
    for stop in (3, 9):
        at = [lambda stop=stop, session=session: "x" if session.state.step >= stop else None]
        Trainer(session, stops=at).run()
        session = resume(tmp_path / "stopped")
        assert session.batches.state_dict()["left"]
    Trainer(session).run()
    assert final_bytes(tmp_path / "stopped") == final_bytes(tmp_path / "whole")


def test_prompts_are_drawn_until_their_answers_differ(base, questions, tmp_path, monkeypatch):
    """The rule likes answers to every fourth prompt by a coin, and none to the others."""
    seen = []

    def rule(pattern, texts, seconds):
        seen.append(len(texts))
        return [float(i // 4 % 4 == 0 and i % 2) for i in range(len(texts))]

    monkeypatch.setattr("tinygpt.alignment.rewards.run_pattern", rule)
    taught = {}
    for draws in (1, 3, 9):
        seen.clear()
        asked = config(base, questions, policy={"draws": draws})
        batches = begin(asked, tmp_path / str(draws)).batches
        batch = next(batches)
        assert seen == [16] * min(draws, 4)  # four prompts, one of which differs, in each
        groups = np.array([one["reward"] for one in batches._answers]).reshape(-1, 4)
        taught[draws] = int((groups.min(axis=1) < groups.max(axis=1)).sum()), len(groups)
        assert len(batch.experience.counts) == groups.size
        prompts = {tuple(one["prompt"]) for one in batches._answers[:4]}
        assert len(prompts) == 1  # a group's answers are to one prompt
    assert taught == {1: (1, 4), 3: (3, 3), 9: (4, 4)}


def test_the_reference_of_a_lora_is_the_base(base, questions, tmp_path):
    session = begin(config(base, questions, method="lora", lr=1e-2), tmp_path / "run")
    model, _ = open_model(base)
    batch = session.objective.example(np.random.default_rng(0)).answers
    Trainer(session).run()
    reference = session.objective._reference
    with evaluating(model), evaluating(reference):
        np.testing.assert_array_equal(
            token_scores(reference, batch).data, token_scores(model, batch).data
        )
    shared = {id(p.data) for p in session.model.parameters()}
    assert all(id(p.data) in shared for p in reference.parameters())  # no memory of its own


def test_a_rule_that_is_none_leaves_no_run_behind(base, questions, tmp_path):
    asked = config(base, questions, policy={"rewards": [f"program:{tmp_path / 'none.py'}"]})
    with pytest.raises(ConfigError, match="there is no program"):
        begin(asked, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_rule_that_fails_ends_it_and_what_was_learned_is_saved(base, questions, tmp_path):
    rule = tmp_path / "rule.py"
    rule.write_text("def reward(prompt, answer, truth):\n    return float(len(answer))\n")
    asked = config(base, questions, policy={"rewards": [f"program:{rule}"]}, steps=5)
    session = begin(asked, tmp_path / "run")

    def spoil():
        if session.state.step == 3:
            rule.write_text("def reward(prompt, answer, truth):\n    return float('nan')\n")

    with pytest.raises(CannotGoOn, match="reward is nan"):
        Trainer(session, stops=[spoil]).run()
    rule.write_text("def reward(prompt, answer, truth):\n    return float(len(answer))\n")
    again = resume(tmp_path / "run")
    assert again.state.step == 3
    Trainer(again).run()
    Trainer(begin(asked, tmp_path / "whole")).run()
    assert final_bytes(tmp_path / "run") == final_bytes(tmp_path / "whole")


WORKER = """
import sys
from pathlib import Path
from tinygpt.training.begin import resume
from tinygpt.training.trainer import Trainer
session = resume(Path(sys.argv[1]))
print("going", flush=True)
Trainer(session).run()
"""


def test_killed_again_and_again_it_ends_in_the_same_bytes(base, questions, tmp_path):
    """Twice here; twenty times in bench (`python -m bench align --addition BASE --kills 20`)."""
    asked = config(base, questions, "ppo", steps=40, batch_size=4, checkpoint_every=3,
                   policy={"epochs": 2, "rewards": ["exact"]})
    Trainer(begin(asked, tmp_path / "whole")).run()
    Trainer(begin(asked, tmp_path / "killed"), stops=[lambda: "x"]).run()
    kills = 0
    while kills < 2:
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path / "killed")], stdout=subprocess.PIPE
        )
        worker.stdout.readline()
        time.sleep(0.05 + 0.05 * kills)
        worker.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        worker.wait()
        worker.stdout.close()
        kills += 1
    Trainer(resume(tmp_path / "killed")).run()
    assert final_bytes(tmp_path / "killed") == final_bytes(tmp_path / "whole")


def test_the_command_trains_and_goes_on(base, questions, tmp_path):
    out = str(tmp_path / "run")

    def call(*arguments):
        return CliRunner().invoke(align, list(arguments), catch_exceptions=False,
                                  standalone_mode=False)

    sets = ("training.steps=2", "policy.prompts=2", "policy.group=2", "policy.most=8",
            "training.batch_size=4")
    result = call(str(base), "--method", "rloo", "--data", str(questions), "--reward", "exact",
                  "--reward", "-0.5*constant", "--adapter", "lora", "--rank", "2", "--out", out,
                  *(part for one in sets for part in ("--set", one)))
    assert result.exit_code == 0, result.output
    assert "held-out questions answered rightly" in result.output
    kept = json.loads((tmp_path / "run" / "config.json").read_text())
    assert kept["policy"]["rewards"] == ["exact", "-0.5*constant"]
    result = call("--out", out, "--resume", "--set", "training.steps=3")
    assert result.exit_code == 0 and "Done: 3 steps" in result.output


def test_what_cannot_write_quickly_is_refused(base, questions):
    with pytest.raises(ConfigError, match="writes too slowly for a policy"):
        config(base, questions, method="prefix")
