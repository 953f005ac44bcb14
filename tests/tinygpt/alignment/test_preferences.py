"""Pairs: read and refused, the reference once and on disk, learned from by five losses."""

import dataclasses
import json
import math
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from tests.tinygpt.training.test_objectives import final_bytes
from tinygpt.alignment.preferences import Preferences
from tinygpt.cli.alignment import align
from tinygpt.config import ConfigError, from_dict
from tinygpt.errors import UserError
from tinygpt.runs import metrics as metrics_files
from tinygpt.runs.run import Run
from tinygpt.text.files import DataError
from tinygpt.text.preferences import read_pairs
from tinygpt.training.begin import begin, resume
from tinygpt.training.trainer import Trainer
from tinygpt.weights.open import open_model

LOSSES = ("dpo", "ipo", "kto", "simpo", "orpo")


def config(base, pairs, loss="dpo", method=None, **training):
    return from_dict({
        "objective": "preferences", "base": str(base), "preference": {"loss": loss},
        "data": {"source": str(pairs)}, "method": method or {"name": "full"},
        "training": {"steps": 12, "batch_size": 8, "lr": 1e-3, "min_lr": 1e-4, "warmup_steps": 2,
                     "eval_every": 6, "checkpoint_every": 4, "sample_every": 12, **training},
    })


def call(*arguments):
    return CliRunner().invoke(align, list(arguments), catch_exceptions=False,
                              standalone_mode=False)


@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
def test_dpo_begins_at_ln_2(base, pairs, tmp_path, method):
    """The policy is the reference, without dropout though the base was trained with it."""
    method = {"name": method, "dropout": 0.0}
    session = begin(config(base, pairs, method=method), tmp_path / "run")
    loss, logged = session.objective.loss(session.model.train(), next(session.batches))
    assert loss.item() == pytest.approx(math.log(2), abs=1e-6)
    assert abs(logged["margin"]) < 1e-5 and logged["chosen"] < 0
    assert session.objective.evaluate(session.model) == pytest.approx(math.log(2), abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_each_loss_comes_to_prefer_what_was_chosen(base, pairs, tmp_path, loss):
    session = begin(config(base, pairs, loss, sample_every=None), tmp_path / "run")
    before = session.objective.measured(session.model)
    Trainer(session).run()
    after = session.objective.measured(session.model)
    assert after["loss"] < before["loss"]
    assert after["chosen"] - after["rejected"] > before["chosen"] - before["rejected"] + 1
    rows = [m for m in metrics_files.read(tmp_path / "run" / "metrics.jsonl") if "loss" in m]
    assert {"chosen", "rejected", "margin", "agreement"} <= rows[0].keys()
    model, _ = open_model(tmp_path / "run")  # as any other run
    assert session.objective.measured(model)["loss"] == pytest.approx(after["loss"], rel=1e-5)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_stopped_run_ends_in_the_bytes_of_an_undisturbed_one(base, pairs, tmp_path, method):
    asked = config(base, pairs, "kto", {"name": method, "rank": 2})
    Trainer(begin(asked, tmp_path / "whole")).run()
    session = begin(asked, tmp_path / "stopped")
    Trainer(session, stops=[lambda: "x" if session.state.step >= 5 else None]).run()
    Trainer(resume(tmp_path / "stopped")).run()
    assert final_bytes(tmp_path / "stopped") == final_bytes(tmp_path / "whole")


def test_the_reference_is_asked_once(base, pairs, tmp_path, monkeypatch):
    session = begin(config(base, pairs), tmp_path / "run")
    Trainer(session, stops=[lambda: "x"]).run()
    monkeypatch.setattr(Preferences, "refer", lambda *_: pytest.fail("asked again"))
    again = resume(tmp_path / "run").objective
    np.testing.assert_array_equal(again.reference, session.objective.reference)
    kept = tmp_path / "run" / "reference.json"
    kept.write_text(kept.read_text().replace("-", "-1", 1))
    with pytest.raises(UserError, match=r"reference\.json was altered"):
        resume(tmp_path / "run")


def test_the_command_trains_and_goes_on(base, pairs, tmp_path):
    out = str(tmp_path / "run")
    result = call(str(base), "--method", "dpo", "--data", str(pairs), "--out", out, "--adapter",
                  "lora", "--rank", "2", "--set", "training.steps=4")
    assert result.exit_code == 0, result.output
    assert "the chosen answer preferred in" in result.output
    assert Run.open(out).config.preference.loss == "dpo"
    result = call("--out", out, "--resume", "--set", "training.steps=6")
    assert result.exit_code == 0 and "Done: 6 steps" in result.output


def test_pairs_are_read_in_three_forms(tmp_path):
    path = tmp_path / "pairs.jsonl"
    question, good, bad = (
        {"role": r, "content": c}
        for r, c in (("user", "why"), ("assistant", "so"), ("assistant", "no"))
    )
    path.write_text("".join(json.dumps(line) + "\n" for line in (
        {"prompt": "why", "chosen": "so", "rejected": "no"},
        {"prompt": [question], "chosen": [good], "rejected": [bad]},
        {"chosen": [question, good], "rejected": [question, bad]},
    )))
    found = read_pairs(path)
    assert len({tuple(one._replace(where="") for one in pair[:2]) for pair in found}) == 1
    assert found[1].chosen.where == "line 2 of " + str(path)
    assert [m.content for m in found[0].rejected.messages] == ["why", "no"]


@pytest.mark.parametrize(("line", "message"), [
    ({"prompt": "a", "chosen": "b", "rejected": "b"}, "line 1 .* two answers with the same text"),
    ({"prompt": "a"}, "line 1 .* has no chosen and no rejected answer"),
    ({"prompt": "a", "chosen": "b", "rejected": ""}, "line 1 .* an empty answer"),
    ({"prompt": "", "chosen": "b", "rejected": "c"}, "line 1 .* an empty question"),
    ({"prompt": 3, "chosen": "b", "rejected": "c"}, "not both texts, or both messages"),
])
def test_a_bad_pair_is_one_sentence(tmp_path, line, message):
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps(line) + "\n")
    with pytest.raises(DataError, match=message):
        read_pairs(path)


def test_what_is_no_file_of_pairs_is_refused(tmp_path, base):
    with pytest.raises(DataError, match="there is no"):
        read_pairs(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(DataError, match="has no pairs"):
        read_pairs(tmp_path / "empty.jsonl")
    with pytest.raises(ConfigError, match="begins with a model that answers"):
        from_dict({"objective": "preferences"})
    with pytest.raises(DataError, match="there are no pairs"):
        begin(config(base, ""), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_reference_of_another_tokenizer_is_refused(base, pairs, tmp_path):
    other = shutil.copytree(base, tmp_path / "other")
    kept = other / "tokenizer.json"
    kept.write_text(kept.read_text().replace("AB", "BA"))
    own = json.loads((other / "config.json").read_text())
    del own["files"], own["sha256"]
    (other / "config.json").write_text(json.dumps(own))
    asked = config(base, pairs)
    with pytest.raises(UserError, match="another tokenizer than the base"):
        begin(dataclasses.replace(asked, reference=str(other)), tmp_path / "run")
    session = begin(dataclasses.replace(asked, reference=str(base)), tmp_path / "same")
    assert session.objective.evaluate(session.model) == pytest.approx(math.log(2), abs=1e-6)
