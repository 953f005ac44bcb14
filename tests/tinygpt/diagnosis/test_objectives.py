"""The doctor knows every objective: what it measures of each, and a trouble planted in each."""

import json
import re
import shlex

import numpy as np
import pytest
from click.testing import CliRunner

from tinygpt.cli import cli
from tinygpt.config import from_dict
from tinygpt.diagnosis.measure import diagnose, part_of
from tinygpt.diagnosis.verdict import verdict_on
from tinygpt.training.begin import begin
from tinygpt.training.trainer import Trainer

MODEL = {"n_layers": 1, "n_heads": 2, "d_model": 16, "context": 32}
RECIPE = {"steps": 60, "batch_size": 8, "lr": 1e-2, "min_lr": 1e-3, "warmup_steps": 5,
          "eval_every": 20, "checkpoint_every": None, "sample_every": None}
WORDS = "cat dog hat mat sat ran tree red".split()
PAIRS = [(f"{a} {b}", f"{b} {a}") for a in WORDS for b in WORDS]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A file for each objective: texts, classes, pairs, conversations."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    salad = (" ".join(rng.choice(WORDS, 6)) + ".\n" for _ in range(200))
    (folder / "text.txt").write_text("".join(salad))
    lines = {
        "classes.jsonl": [{"text": a, "label": "red" if "red" in a else "none"} for a, _ in PAIRS],
        "pairs.jsonl": [{"source": a, "target": b} for a, b in PAIRS],
        "talk.jsonl": [{"question": a, "answer": b} for a, b in PAIRS],
    }
    for name, rows in lines.items():
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def run_of(folder, data, file, family="gpt", recipe=None, **values):
    """A finished run in `folder`."""
    path = folder / "my run"
    config = from_dict({
        "model": {"family": family, **MODEL}, "data": {"source": str(data / file)},
        "training": {**RECIPE, **(recipe or {})}, **values,
    })
    Trainer(begin(config, path)).run()
    return path


@pytest.fixture(scope="module")
def base(data, tmp_path_factory):
    """Of pieces of words, which include those that tell turns apart."""
    return run_of(tmp_path_factory.mktemp("base"), data, "text.txt",
                  tokenizer={"kind": "bpe", "vocab_size": 290})


KINDS = {
    "masked": ({"file": "text.txt", "family": "bert"},
               {"uniform", "unigram", "right", "rare_tokens"}, {"token embedding", "block 0"}),
    "classification": ({"file": "classes.jsonl", "family": "bert", "objective": "classification"},
                       {"uniform", "unigram", "right", "guessed", "rare_tokens"},
                       {"encoder token embedding", "encoder block 0", "head"}),
    "seq2seq": ({"file": "pairs.jsonl", "family": "t5", "objective": "seq2seq"},
                {"uniform", "unigram", "bigram", "right", "rare_tokens"},
                {"token embedding", "encoder block 0", "decoder block 0"}),
    "finetuning": ({"file": "talk.jsonl", "objective": "finetuning"},
                   {"uniform", "unigram", "bigram", "right", "ended", "rare_tokens"},
                   {"token embedding", "block 0"}),
}
OPTIONAL = {"uniform", "unigram", "bigram", "base", "rare_tokens", "repetition", "text_repetition",
            "copying", "right", "guessed", "ended"}


@pytest.mark.parametrize("kind", KINDS)
def test_each_objective_is_measured_by_what_makes_sense_for_it(kind, data, tmp_path):
    values, applies, parts = KINDS[kind]
    path = run_of(tmp_path, data, **values)
    before = {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}
    _, f, gradients = diagnose(str(path))
    assert {p: p.read_bytes() for p in path.rglob("*") if p.is_file()} == before
    assert {name for name in OPTIONAL if getattr(f, name) is not None} == applies
    assert parts <= set(gradients) and all(norm > 0 for norm in gradients.values())
    assert f.judged and f.finite and f.passes > 0 and 0 <= f.dead_units < 1
    assert 0 < f.train_loss < f.uniform and f.unigram < f.uniform
    told = CliRunner().invoke(cli, ["diagnose", str(path)])
    assert told.exit_code == 0, told.output
    assert "held-out answers that are right" in told.output
    assert "repetition" not in told.output


def test_an_adapter_is_held_against_its_base(base, data, tmp_path):
    path = run_of(tmp_path, data, "talk.jsonl", objective="finetuning", base=str(base),
                  method={"name": "lora", "rank": 4})
    _, f, gradients = diagnose(str(path))
    assert f.base > f.val_loss > 0  # it learned something, and the base did not know it
    assert f.adapted and f.rare_tokens is None and f.parameters < 3000
    assert set(gradients) == {"block 0"}
    told = CliRunner().invoke(cli, ["diagnose", str(path)]).output
    assert "before it was taught" in told and "too rare" not in told


def test_an_adapter_that_learned_nothing_is_told_from_its_base(base, data, tmp_path):
    path = run_of(tmp_path, data, "talk.jsonl", objective="finetuning", base=str(base),
                  method={"name": "lora"}, recipe={"lr": 1e-9, "min_lr": 1e-9, "steps": 20})
    _, f, _ = diagnose(str(path))
    assert f.val_loss == pytest.approx(f.base, rel=1e-4)
    verdict = verdict_on(f)
    assert verdict.name == "too few steps"


def test_a_classifier_that_guesses_knows_no_more_than_the_commonest_class(data, tmp_path):
    path = run_of(tmp_path, data, "classes.jsonl", "bert", {"lr": 1e-9, "min_lr": 1e-9},
                  objective="classification")
    _, f, _ = diagnose(str(path))
    held = [s for s in (path / "examples.jsonl").read_text().splitlines()][-13:]
    labels = [json.loads(line)["label"] for line in held]
    assert f.guessed == pytest.approx(labels.count("none") / 13)
    assert verdict_on(f).name == "too few steps" and "class occurs" in verdict_on(f).why


def test_what_is_advised_of_an_encoder_or_an_adapter_runs(base, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = {"steps": 3, "lr": 0.5, "min_lr": 0.1}
    runs = [
        run_of(tmp_path / "a", data, "text.txt", "bert", few),
        run_of(tmp_path / "b", data, "talk.jsonl", recipe=few, objective="finetuning",
               base=str(base), method={"name": "lora", "rank": 2}),
    ]
    from tinygpt.runs.run import Run
    from tinygpt.screens.advice import again

    for path, word in zip(runs, ("model.family=bert", "--method lora"), strict=True):
        line = again(Run.open(path), {"training.lr": 1e-3, "training.min_lr": 1e-4})
        assert word in line and "training.steps=3" in line
        words = shlex.split(line)
        made = CliRunner().invoke(cli, words[words.index("tinygpt") + 1 :])
        assert made.exit_code == 0, (line, made.output, made.exception)
        anew = Run.open(path.with_name("my run-2")).config
        assert anew.training.lr == 1e-3 and anew.training.batch_size == 8
        assert anew.model == Run.open(path).config.model


def test_more_steps_are_made_of_a_run_that_counted_epochs(base, data, tmp_path):
    path = run_of(tmp_path, data, "talk.jsonl", objective="finetuning", base=str(base))
    made = CliRunner().invoke(cli, [
        "finetune", str(base), "--data", str(data / "talk.jsonl"), "--epochs", "1",
        "--out", str(tmp_path / "e"),
    ])
    assert made.exit_code == 0, made.output
    steps = int(re.search(r"Done: (\d+) steps", made.output)[1])
    more = CliRunner().invoke(cli, [
        "train", "--out", str(tmp_path / "e"), "--resume", "--set", f"training.steps={steps + 2}",
    ])
    assert f"Done: {steps + 2} steps" in more.output, more.output
    assert path.exists()


def test_a_part_is_named_for_a_reader():
    assert part_of("blocks.3.mlp.up.weight") == "block 3"
    assert part_of("decoder.blocks.0.norm1.weight") == "decoder block 0"
    assert part_of("encoder.token_embedding.weight") == "encoder token embedding"
    assert part_of("output_bias") == "output bias"
