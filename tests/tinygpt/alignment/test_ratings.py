"""Answers rated one by one: read and refused, weighed evenly, learned from by kto."""

import json

import numpy as np
import pytest

from tests.tinygpt.alignment.conftest import WORDS
from tests.tinygpt.alignment.test_preferences import call
from tests.tinygpt.training.test_objectives import final_bytes
from tinygpt.config import ConfigError, from_dict
from tinygpt.runs.run import Run
from tinygpt.text.files import DataError
from tinygpt.text.preferences import holds_ratings, read_pairs, read_ratings
from tinygpt.training.begin import begin, resume
from tinygpt.training.trainer import Trainer


@pytest.fixture(scope="module")
def ratings(tmp_path_factory):
    """A file: capitals are good, and rated three times as often."""
    path = tmp_path_factory.mktemp("ratings") / "ratings.jsonl"
    said = [(f"{a} {b}", i % 4 > 0) for i, (a, b) in enumerate(
        (a, b) for a in WORDS for b in WORDS if a != b
    )]
    path.write_text("".join(
        json.dumps({"prompt": f"say {one}", "completion": one.upper() if good else one,
                    "label": good}) + "\n"
        for one, good in said
    ))
    return path


def config(base, ratings, **training):
    return from_dict({
        "objective": "ratings", "base": str(base), "data": {"source": str(ratings)},
        "training": {"steps": 12, "batch_size": 8, "lr": 1e-3, "min_lr": 1e-4, "warmup_steps": 2,
                     "eval_every": 6, "checkpoint_every": 4, "sample_every": 12, **training},
    })


def test_it_begins_at_half_and_comes_to_like_what_people_liked(base, ratings, tmp_path):
    session = begin(config(base, ratings), tmp_path / "run")
    before = session.objective.measured(session.model)
    assert before["gain"] == pytest.approx(0, abs=1e-5)
    good, bad = session.objective._weights
    share = np.mean(session.objective.data.good[: len(session.objective.data.train)])
    assert good * share == pytest.approx(0.5) and bad * (1 - share) == pytest.approx(0.5)
    batch = session.objective.rated(np.arange(len(session.objective.data.train)))
    loss, _ = session.objective.loss(session.model, batch)
    # Half of every weight, at z of answers behind prompts of others, 0 at first.
    assert loss.item() == pytest.approx(0.5, abs=1e-6)
    Trainer(session).run()
    after = session.objective.measured(session.model)
    assert after["gain"] > 1 and after["agreement"] > 0.9 and after["loss"] < before["loss"]


def test_a_stopped_run_ends_in_the_bytes_of_an_undisturbed_one(base, ratings, tmp_path):
    Trainer(begin(config(base, ratings), tmp_path / "whole")).run()
    session = begin(config(base, ratings), tmp_path / "stopped")
    Trainer(session, stops=[lambda: "x" if session.state.step >= 5 else None]).run()
    Trainer(resume(tmp_path / "stopped")).run()
    assert final_bytes(tmp_path / "stopped") == final_bytes(tmp_path / "whole")


def test_the_command_knows_ratings_from_pairs(base, ratings, pairs, tmp_path):
    for data, objective in ((ratings, "ratings"), (pairs, "preferences")):
        out = tmp_path / objective
        result = call(str(base), "--method", "kto", "--data", str(data), "--out", str(out),
                      "--set", "training.steps=2")
        assert result.exit_code == 0, result.output
        assert Run.open(out).config.objective == objective
    with pytest.raises(DataError, match="of rated answers --method kto learns"):
        call(str(base), "--method", "dpo", "--data", str(ratings), "--out", str(tmp_path / "dpo"))


def test_ratings_are_read_in_two_forms(tmp_path):
    path = tmp_path / "ratings.jsonl"
    question, answer = ({"role": r, "content": c} for r, c in (("user", "why"),
                                                               ("assistant", "so")))
    path.write_text("".join(json.dumps(line) + "\n" for line in (
        {"prompt": "why", "completion": "so", "label": True},
        {"prompt": [question], "completion": [answer], "label": False},
    )))
    first, second = read_ratings(path)
    assert first.answer.messages == second.answer.messages
    assert (first.good, second.good) == (True, False)
    assert holds_ratings(path) and not holds_ratings(tmp_path / "none.jsonl")


@pytest.mark.parametrize(("line", "message"), [
    ({"prompt": "a", "completion": "b"}, "line 1 .* has no label: write lines of"),
    ({"prompt": "a", "label": True}, "line 1 .* has no completion: write lines of"),
    ({"prompt": "a", "completion": "b", "label": 1}, "line 1 .* True or False"),
    ({"prompt": "a", "completion": "", "label": True}, "line 1 .* an empty answer"),
    ({"prompt": 3, "completion": "b", "label": True}, "a completion that are not both texts"),
])
def test_a_bad_rating_is_one_sentence(tmp_path, line, message):
    path = tmp_path / "ratings.jsonl"
    path.write_text(json.dumps(line) + "\n")
    with pytest.raises(DataError, match=message):
        read_ratings(path)


def test_what_nothing_can_be_learned_from_is_refused(base, tmp_path):
    path = tmp_path / "ratings.jsonl"
    path.write_text('{"prompt": "say cat", "completion": "cat", "label": true}\n' * 8)
    with pytest.raises(DataError, match="nothing to tell apart"):
        begin(config(base, path), tmp_path / "run")
    with pytest.raises(DataError, match="there are no rated answers"):
        begin(config(base, ""), tmp_path / "run")
    with pytest.raises(DataError, match="has no chosen and no rejected"):
        read_pairs(path)
    for preference in ({"loss": "dpo"}, {"loss": "kto", "nll": 1.0}):
        with pytest.raises(ConfigError, match="preference"):
            from_dict({"objective": "ratings", "base": str(base), "preference": preference})
    assert not (tmp_path / "run").exists()
