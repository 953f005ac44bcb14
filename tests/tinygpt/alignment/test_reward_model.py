"""A reward model: its loss, what it learns from choices, ties and margins, and how it is opened."""

import json
import math

import numpy as np
import pytest

from minigrad import Tensor
from minigrad.gradcheck import check_grads
from tests.tinygpt.training.test_objectives import final_bytes
from tinygpt.alignment.reward_model import (
    bradley_terry,
    calibration,
    interval,
    open_reward_model,
    summary,
)
from tinygpt.config import from_dict
from tinygpt.errors import UserError
from tinygpt.text.conversations import asked
from tinygpt.text.files import DataError
from tinygpt.training.begin import begin, resume
from tinygpt.training.trainer import Trainer
from tinygpt.weights.open import load_model

RNG = np.random.default_rng(0)


def config(base, pairs, method="full", **training):
    return from_dict({
        "objective": "reward", "base": str(base), "data": {"source": str(pairs)},
        "method": {"name": method, "rank": 2},
        "training": {"steps": 30, "batch_size": 8, "lr": 3e-3, "min_lr": 3e-4, "warmup_steps": 2,
                     "eval_every": 10, "checkpoint_every": 10, "sample_every": 30, **training},
    })


@pytest.fixture(scope="module")
def run(base, pairs, tmp_path_factory):
    """A finished run: capitals are better."""
    path = tmp_path_factory.mktemp("judge") / "run"
    Trainer(begin(config(base, pairs), path)).run()
    return path


def test_the_loss_is_that_of_bradley_terry_with_ties_and_margins():
    chosen, rejected, margin = RNG.normal(size=(3, 5))
    tie = np.array([False, True, False, True, False])
    h = chosen - rejected
    p = 1 / (1 + np.exp(-h))
    choice = -np.log(1 / (1 + np.exp(-(h - margin))))
    wanted = np.where(tie, -0.5 * np.log(p) - 0.5 * np.log(1 - p), choice)
    found = bradley_terry(Tensor(chosen), Tensor(rejected), tie, margin).data
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    check_grads(lambda c, r: bradley_terry(c, r, tie, margin, 0.1), [chosen, rejected], seed=0)


def test_it_begins_at_ln_2_and_learns_what_people_choose(base, pairs, run, tmp_path):
    session = begin(config(base, pairs), tmp_path / "new")
    assert session.objective.evaluate(session.model) == pytest.approx(math.log(2))
    judge = open_reward_model(run)
    question = asked("say cat dog", "x")
    good, bad = judge.scores([(question, "CAT DOG"), (question, "cat dog")])
    assert good > bad + 1
    assert judge.scores([(question, "")]).shape == (1,)  # an empty answer has a score too
    unreadable = [(question, "CAT DOG"), (question, "CAT \u2603"), (question, "cat dog")]
    assert judge.scores(unreadable).tolist() == [good, bad, bad]  # as bad as the worst
    assert judge.scores(unreadable[1:2]).tolist() == [0]


def test_it_is_no_language_model(run):
    with pytest.raises(UserError, match="makes no language model"):
        from tinygpt.runs.run import Run

        load_model(Run.open(run))


def test_a_policy_is_no_judge(base):
    with pytest.raises(UserError, match="is a run of finetuning, which judges no answers"):
        open_reward_model(base)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_stopped_run_ends_in_the_bytes_of_an_undisturbed_one(base, pairs, tmp_path, method):
    wanted = config(base, pairs, method, steps=9)
    Trainer(begin(wanted, tmp_path / "whole")).run()
    session = begin(wanted, tmp_path / "stopped")
    Trainer(session, stops=[lambda: "x" if session.state.step >= 4 else None]).run()
    Trainer(resume(tmp_path / "stopped")).run()
    assert final_bytes(tmp_path / "stopped") == final_bytes(tmp_path / "whole")
    question = asked("say cat dog", "x")
    assert open_reward_model(tmp_path / "stopped").scores([(question, "CAT")]) == pytest.approx(
        open_reward_model(tmp_path / "whole").scores([(question, "CAT")])
    )


def test_ties_are_learned_as_ties_and_not_counted_as_choices(base, tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(
        json.dumps({"prompt": f"say {a}", "chosen": a, "rejected": a.upper(), "tie": i % 2 == 0,
                    "margin": 1.5}) + "\n"
        for i, a in enumerate(["cat", "dog", "hat", "mat", "sat", "ran", "tree", "red"])
    ))
    session = begin(config(base, path).replace("data", held_out=0.5), tmp_path / "run")
    held = np.array(session.objective.data.ties[4:])
    assert len(session.objective.differences(session.model)) == (~held).sum()
    again = resume(tmp_path / "run").objective.data
    assert again == session.objective.data and set(again.margins) == {1.5}
    with pytest.raises(DataError, match="has ties, of which simpo knows nothing"):
        begin(from_dict({"objective": "preferences", "base": str(base),
                         "data": {"source": str(path)}, "preference": {"loss": "simpo"}}),
              tmp_path / "other")


def test_calibration_and_intervals():
    h = np.log(np.array([3.0, 3.0, 3.0, 1 / 3]))  # sure by 3 to 1, and right three times of four
    ((said, true, count),) = calibration(h)
    assert (said, true, count) == (pytest.approx(0.75), 0.75, 4)
    low, high = interval(75, 100)
    assert low == pytest.approx(0.6570, abs=1e-3) and high == pytest.approx(0.8245, abs=1e-3)
    assert summary(h).startswith("agrees with 75.0% of 4 held-out choices (30.1% to 95.4%)")
