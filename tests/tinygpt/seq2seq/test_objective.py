"""An encoder-decoder learns pairs: loss, held-out, a run that stops, resumes and translates."""

import dataclasses
import itertools
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

import tinygpt
from tests.tinygpt.training.test_objectives import final_bytes
from tinygpt.cli.chat import chat
from tinygpt.cli.inference import generate
from tinygpt.cli.planning import plan
from tinygpt.cli.training import train
from tinygpt.config import ConfigError, from_dict
from tinygpt.errors import UserError
from tinygpt.runs.checkpoint import CheckpointError
from tinygpt.runs.run import Run
from tinygpt.seq2seq.objective import Seq2Seq, exact
from tinygpt.seq2seq.pairs import Pair
from tinygpt.training.begin import begin, resume
from tinygpt.training.trainer import Trainer

CALL = CliRunner().invoke


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Three letters and the same in capitals, read backwards."""
    path = tmp_path_factory.mktemp("pairs") / "letters.tsv"
    words = map("".join, itertools.product("abcd", repeat=3))
    path.write_text("".join(f"{word}\t{word[::-1].upper()}\n" for word in words))
    return path


@pytest.fixture(scope="module")
def config(table):
    return from_dict({
        "objective": "seq2seq",
        "model": {"family": "t5", "n_layers": 1, "n_heads": 2, "d_model": 16, "context": 8,
                  "dropout": 0.1},
        "data": {"source": str(table), "both_ways": True},
        "training": {"steps": 40, "batch_size": 4, "lr": 1e-2, "min_lr": 1e-3, "warmup_steps": 5,
                     "eval_every": 10, "checkpoint_every": 7, "sample_every": 20},
    })


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    """A finished run, for reading only."""
    path = tmp_path_factory.mktemp("seq2seq") / "run"
    Trainer(begin(config, path)).run()
    return path


def test_a_stopped_run_ends_in_the_bytes_of_an_undisturbed_one(config, run, tmp_path):
    session = begin(config, tmp_path / "stopped")
    for stop in (3, 11, 26):
        at = [lambda stop=stop, session=session: "x" if session.state.step >= stop else None]
        Trainer(session, stops=at).run()
        session = resume(tmp_path / "stopped")
    Trainer(session).run()
    assert final_bytes(tmp_path / "stopped") == final_bytes(run)


def test_a_run_goes_on_with_its_own_pairs_and_refuses_others(config, tmp_path):
    session = begin(config, tmp_path / "run")
    Trainer(session, stops=[lambda: "x" if session.state.step >= 8 else None]).run()
    kept = tmp_path / "run/pairs.jsonl"
    before = session.objective.pairs
    assert resume(tmp_path / "run").objective.pairs == before
    kept.write_text(kept.read_text().replace("abc", "abd"))
    with pytest.raises(UserError, match=r"pairs\.jsonl was altered"):
        resume(tmp_path / "run")


def test_the_loss_is_the_mean_over_tokens_however_they_are_batched(config, tmp_path):
    longer = config.replace("model", dropout=0.0)
    objective = Seq2Seq.prepare(longer, tmp_path, None)
    model = objective.build(np.random.default_rng(0))
    data = objective.train
    rows = [3, 40, 7, 90]
    whole = data.batch(rows)
    parts = [data.batch([row]) for row in rows]
    losses = [objective.loss(model, part)[0].item() * part.weight for part in parts]
    found = objective.loss(model, whole)[0].item()
    assert found == pytest.approx(sum(losses) / whole.weight, rel=1e-5)
    assert whole.weight == sum(part.weight for part in parts)


def test_evaluation_is_of_all_that_is_held_out(config, tmp_path):
    objective = Seq2Seq.prepare(config, tmp_path, None)
    model = objective.build(np.random.default_rng(0)).eval()
    whole = objective.held_out.batch(range(len(objective.held_out)))
    right = objective.loss(model, whole)[0].item()
    assert objective.evaluate(model) == pytest.approx(right, rel=1e-5)
    assert objective.evaluate(model, limit=20) != objective.evaluate(model)
    alone = Seq2Seq.prepare(config.replace("data", held_out=0.0), tmp_path, None)
    assert alone.evaluate(model) is None and alone.write(model, 1) is None


def test_it_learns_and_translates_what_it_never_saw(config, tmp_path):
    recipe = {"steps": 150, "batch_size": 16, "optimizer": "muon", "eval_every": None}
    config = config.replace("training", **recipe, sample_every=None)
    config = config.replace("model", d_model=32, dropout=0.0, positions="learned")
    outcome = tinygpt.train(config, tmp_path / "run")
    opened = tinygpt.open(tmp_path / "run")
    objective = Seq2Seq.prepare(config, tmp_path, None)
    assert outcome.val_loss < 0.2
    assert exact(opened.model, opened.tokenizer, objective.directed.held_out) >= 0.8
    pairs = objective.directed.train[:70]  # more than are read at once
    written = opened.translate([pair.source for pair in pairs])
    right = [text == pair.target for text, pair in zip(written, pairs, strict=True)]
    assert np.mean(right) > 0.9
    one = pairs[right.index(True)]
    assert opened.translate(one.source) == [one.target]
    assert "".join(opened.generate(one.source, temperature=0)) == one.target


def test_a_sample_shows_what_is_right_and_counts(run):
    lines = (run / "samples.jsonl").read_text().splitlines()
    assert len(lines) == 2
    assert "of 12 held-out pairs are exact" in lines[-1] and " -> " in lines[-1]


def test_generate_reads_the_prompt_and_writes_what_it_becomes(run):
    result = CALL(generate, [str(run), "--prompt", "abc"], catch_exceptions=False)
    right = tinygpt.open(run).translate("abc")[0]
    assert result.exit_code == 0 and result.output == f"{right}\n"
    piped = CALL(generate, [str(run), "--prompt", "-"], input="abc\n", catch_exceptions=False)
    assert piped.output == result.output
    assert "Give the text: --prompt" in CALL(generate, [str(run)]).output


@pytest.mark.parametrize(
    ("prompt", "said"),
    [("", "the prompt is empty"), ("abcdabcd", "9 tokens long with its end"), ("xyz", "'x'")],
)
def test_a_source_that_cannot_be_read_is_refused(run, prompt, said):
    with pytest.raises(UserError, match=said):
        tinygpt.open(run).translate([prompt, "abc"])
    assert said in str(CALL(generate, [str(run), "--prompt", prompt]).exception)


def test_what_only_a_language_model_can_do_says_so(run, tiny_config, tmp_path):
    opened = tinygpt.open(run)
    for refused in (lambda: opened.loss("abc"), lambda: CALL(
            chat, [str(run)], catch_exceptions=False, standalone_mode=False)):
        with pytest.raises(UserError, match="has to read a source before it writes"):
            refused()
    tinygpt.train(tiny_config.replace("training", steps=1), tmp_path / "gpt")
    with pytest.raises(UserError, match="turns none into another"):
        tinygpt.open(tmp_path / "gpt").translate("the")


def test_settings_that_contradict_each_other_name_both(config, tmp_path):
    values = config.to_dict()
    with pytest.raises(ConfigError, match='"decoder" does not learn by objective = "seq2seq"'):
        from_dict({**values, "model": {"family": "gpt"}})
    with pytest.raises(ConfigError, match='objective = "pretraining". Set objective = "seq2seq"'):
        from_dict({"model": {"family": "t5"}})
    with pytest.raises(UserError, match="4 tokens with its end, and model.context is 3"):
        Seq2Seq.prepare(config.replace("model", context=3), tmp_path, None)


def test_another_shape_than_the_checkpoints_is_named(run, tmp_path):
    opened = Run.open(shutil.copytree(run, tmp_path / "run"))
    wider = dataclasses.replace(opened.config.model, d_model=32)
    opened.write_config(dataclasses.replace(opened.config, model=wider))
    with pytest.raises(CheckpointError, match="d_model = 32"):
        tinygpt.open(opened.path)


def test_pairs_of_a_bpe_vocabulary(config, tmp_path):
    values = config.to_dict() | {"tokenizer": {"kind": "bpe", "vocab_size": 270}}
    tinygpt.train(from_dict(values).replace("training", steps=2), tmp_path / "run")
    opened = tinygpt.open(tmp_path / "run")
    assert opened.model.shape.vocab_size == 270
    assert len(opened.translate(["abc", "dd"])) == 2


def test_plan_train_and_report_know_the_objective(table, tmp_path):
    toml = tmp_path / "p.toml"
    toml.write_text(
        'objective = "seq2seq"\n[model]\nfamily = "t5"\nn_layers = 1\nd_model = 32\ncontext = 16\n'
        f'[data]\nsource = "{table.as_posix()}"\n[training]\nsteps = 5\n'
    )
    planned = CALL(plan, [str(toml)], catch_exceptions=False)
    assert planned.exit_code == 0 and "1 layers in each half" in planned.output
    out = tmp_path / "run"
    done = CALL(train, [str(toml), "--out", str(out), "--data", str(table)],
                catch_exceptions=False, standalone_mode=False)
    assert "Done: 5 steps, held-out loss" in done.output
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "An encoder-decoder" in page and "pairs of letters.tsv" in page


def test_pairs_of_numbers_hold_out_numbers(config, tmp_path):
    values = config.replace("data", source="numbers", count=300).replace("model", context=80)
    found = Seq2Seq.prepare(values, tmp_path, None).directed
    assert len(found.held_out) == 60
    numbers = [{p.source for p in part} | {p.target for p in part}
               for part in (found.train, found.held_out)]
    assert not numbers[0] & numbers[1]
    assert Pair("seven", "7") in found.train or Pair("seven", "7") in found.held_out
