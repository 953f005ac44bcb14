"""The doctor measures a run without changing it and names the trouble that was planted."""

import dataclasses

import numpy as np
import pytest

from minigrad import Tensor
from tinygpt.diagnosis.measure import diagnose
from tinygpt.diagnosis.verdict import Findings, verdict_on
from tinygpt.pretraining.likeness import copied_share, repetition
from tinygpt.runs import checkpoint as checkpoints
from tinygpt.training.begin import begin
from tinygpt.training.trainer import Trainer

HEALTHY = Findings(
    step=2000, steps=2000, parameters=800_000, train_tokens=1_000_000, val_loss=1.88,
    train_loss=1.80, best_val_loss=1.88, best_step=2000, uniform=4.17, unigram=3.3, bigram=2.5,
    still_falling=0.01, rose=0.01, passes=1.5, skipped=0, rollbacks=0, rare_tokens=0.05,
    repetition=0.02, copying=0.0, dead_units=0.01, update_ratio=0.002, clipped=0.1, lr=1e-3,
    finite=True, vocab_size=65, text_repetition=0.01,
)


@pytest.mark.parametrize(
    ("changes", "name", "advice"),
    [
        ({}, "healthy", "more"),
        ({"finite": False}, "broken weights", "earlier checkpoint"),
        ({"skipped": 300, "rollbacks": 2}, "rate too high", "lr=2.5e-04"),
        ({"val_loss": 3.32, "train_loss": 3.3, "update_ratio": 0.05}, "rate too high", "lr"),
        ({"rose": 0.6}, "rate too high", "lr"),
        ({"val_loss": 3.4, "step": 50, "steps": 50}, "too few steps", "--resume"),
        ({"val_loss": 3.3, "update_ratio": 1e-5}, "nothing to learn, or a rate too low", "lr=4.0e"),
        (
            {"train_loss": 0.9, "best_val_loss": 1.6, "best_step": 700, "passes": 40.0},
            "overfitting", "step 700",
        ),
        ({"vocab_size": 16384, "rare_tokens": 0.7}, "tokenizer too large for the data", "4096"),
        ({"still_falling": 0.2}, "too few steps", "steps=4000"),
        ({"step": 900}, "healthy", "more"),
        ({"step": 900, "still_falling": 0.2}, "too few steps", "Train on with --resume."),
        ({"dead_units": 0.5}, "dead units", "warmup"),
        ({"passes": 30.0, "train_loss": 1.87}, "model too small", "larger model"),
        ({"repetition": 0.6}, "repetition", "--temperature"),
        ({"base": 1.87}, "nothing to learn, or a rate too low", "lr=4.0e"),
        ({"ended": 0.5, "right": 0.4}, "answers that do not end", "steps=4000"),
        ({"passes": 30.0, "train_loss": 1.87, "right": 1.0}, "healthy", "more"),
        (
            {"passes": 30.0, "train_loss": 1.87, "stands_on": "base", "adapted": True},
            "model too small", "a higher method.rank",
        ),
        (
            {"train_loss": 0.9, "best_val_loss": 1.6, "best_step": 700, "stands_on": "base"},
            "overfitting", "training.steps=700",
        ),
        (
            {"held_out_tokens": 0, "hold_out": "data.held_out=0.2"}, "too little text to measure",
            "--set data.held_out=0.2",
        ),
    ],
)
def test_each_trouble_has_its_name_and_one_thing_to_do(changes, name, advice):
    verdict = verdict_on(dataclasses.replace(HEALTHY, **changes))
    assert verdict.name == name
    assert advice in verdict.advice
    assert verdict.why.endswith(".")


def test_what_was_not_held_out_is_not_praised():
    short = dataclasses.replace(HEALTHY, held_out_tokens=20, least_held_out=65)
    verdict = verdict_on(short)
    assert verdict.name == "too little text to measure"
    assert "20 tokens were held out, and a window of this model takes 65" in verdict.why
    assert verdict_on(dataclasses.replace(short, uniform=0.0)).name == "nothing to learn"


def test_repetition_counts_ngrams_seen_before():
    assert repetition("a b c d e f g".split()) == 0.0
    assert repetition(list("abababababab")) > 0.7
    assert repetition([1, 2]) == 0.0


def test_copying_is_the_share_of_long_stretches_found_in_the_text():
    known = "".join(np.random.default_rng(0).choice(list("abcdefgh"), 2000))
    assert copied_share(known[300:500], known) == pytest.approx(1.0, abs=0.06)
    assert copied_share("xyz" * 50, known) == 0.0
    half = known[300:400] + "xyz" * 33
    assert 0.35 < copied_share(half, known) < 0.55


def test_a_run_is_measured_and_not_changed(tiny_config, tmp_path):
    path = tmp_path / "run"
    Trainer(begin(tiny_config, path)).run()
    before = {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}
    _, findings, gradients = diagnose(str(path))
    assert {p: p.read_bytes() for p in path.rglob("*") if p.is_file()} == before
    assert findings.finite and findings.step == 40
    assert findings.val_loss < findings.uniform
    assert set(gradients) == {"token embedding", "positions", "block 0", "block 1", "norm"}
    assert all(norm > 0 for norm in gradients.values())


def test_units_that_never_answer_are_counted(tiny_config, tmp_path):
    session = begin(tiny_config, tmp_path / "run")
    session.model.blocks[0].mlp.up.weight.data[:16] = 0.0  # 16 of 2 x 64 units
    session.save()
    _, findings, _ = diagnose(str(tmp_path / "run"))
    assert findings.dead_units == pytest.approx(16 / 128, abs=0.02)


def test_units_that_are_always_far_below_zero_never_answer(tiny_config, tmp_path):
    session = begin(tiny_config, tmp_path / "run")
    model, rng = session.model, np.random.default_rng(0)
    width = model.shape.d_model
    # Every token arrives at the first MLP as the same vector: 16 of 2 x 64 units say -20 to it.
    model.token_embedding.weight.data[:] = rng.standard_normal(width)
    model.position_embedding.weight.data[:] = 0.0
    block = model.blocks[0]
    block.attention.proj.weight.data[:] = 0.0
    arrives = block.norm2(Tensor(model.token_embedding.weight.data[:1])).data[0]
    block.mlp.up.weight.data[:16] = -20 * arrives / (arrives @ arrives)
    session.save()
    _, findings, _ = diagnose(str(tmp_path / "run"))
    assert findings.dead_units == pytest.approx(16 / 128, abs=0.02)


def test_a_planted_nan_is_found(tiny_config, tmp_path):
    session = begin(tiny_config.replace("training", steps=2), tmp_path / "run")
    Trainer(session).run()
    session.model.norm.weight.data[0] = np.nan
    session.save()
    newest = checkpoints.newest_good(tmp_path / "run/checkpoints")
    assert newest.step == 2
    with np.errstate(all="ignore"):
        _, findings, _ = diagnose(str(tmp_path / "run"))
    assert verdict_on(findings).name == "broken weights"
