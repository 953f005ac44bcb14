"""A model learns to answer: from a base or from nothing, stopped, resumed, asked, refused."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

import tinygpt
from tests.tinygpt.training.test_objectives import final_bytes
from tinygpt.adapters import MethodConfig
from tinygpt.adapters import config as adapters_config
from tinygpt.cli.chat import chat
from tinygpt.cli.finetuning import finetune, merge
from tinygpt.cli.inference import quantize
from tinygpt.cli.training import export, train
from tinygpt.config import ConfigError, from_dict
from tinygpt.errors import UserError
from tinygpt.finetuning.base import with_rows, with_turns
from tinygpt.finetuning.objective import Finetuning
from tinygpt.inference.answers import answers
from tinygpt.model import ModelShape, build
from tinygpt.runs.chat_form import chat_form
from tinygpt.runs.run import Run
from tinygpt.text.files import DataError
from tinygpt.tokenizer import CharTokenizer
from tinygpt.training.begin import begin, resume
from tinygpt.training.trainer import Trainer
from tinygpt.weights.open import form_of, load_model, open_model

CALL = CliRunner().invoke
WORDS = "cat dog hat mat sat ran tree red old by it on".split()


def call(*arguments):
    return CALL(*arguments, catch_exceptions=False, standalone_mode=False)


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """Words, and the same in capitals."""
    path = tmp_path_factory.mktemp("talk") / "capitals.jsonl"
    turns = [{"question": f"say {a} {b}", "answer": f"{a} {b}".upper()}
             for a in WORDS for b in WORDS if a != b]
    path.write_text("".join(json.dumps(turn) + "\n" for turn in turns))
    return path


@pytest.fixture(scope="module")
def config(talk):
    return from_dict({
        "objective": "finetuning",
        "model": {"n_layers": 2, "n_heads": 2, "d_model": 16, "context": 64, "dropout": 0.1},
        "data": {"source": str(talk)},
        "training": {"steps": 20, "batch_size": 4, "lr": 1e-2, "min_lr": 1e-3, "warmup_steps": 5,
                     "eval_every": 10, "checkpoint_every": 7, "sample_every": 20},
    })


@pytest.fixture(scope="module")
def base(tmp_path_factory, talk):
    """A run of pretraining on the same characters."""
    path = tmp_path_factory.mktemp("base") / "run"
    text = path.parent / "text.txt"
    text.write_text(talk.read_text() * 3)
    tinygpt.train(from_dict({
        "model": {"n_layers": 1, "n_heads": 2, "d_model": 16, "context": 48},
        "data": {"source": str(text)}, "training": {"steps": 5, "batch_size": 2},
    }), path)
    return path


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    """A finished run from new weights, for reading only."""
    path = tmp_path_factory.mktemp("answers") / "run"
    Trainer(begin(config, path)).run()
    return path


def test_a_stopped_run_ends_in_the_bytes_of_an_undisturbed_one(config, run, tmp_path):
    session = begin(config, tmp_path / "stopped")
    for stop in (3, 11):
        at = [lambda stop=stop, session=session: "x" if session.state.step >= stop else None]
        Trainer(session, stops=at).run()
        session = resume(tmp_path / "stopped")
    Trainer(session).run()
    assert final_bytes(tmp_path / "stopped") == final_bytes(run)


def test_a_run_goes_on_with_its_own_conversations_and_refuses_others(config, run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    objective = Finetuning.reopen(Run.open(copy), print)
    assert objective.data == begin(config, tmp_path / "other").objective.data
    kept = copy / "conversations.jsonl"
    kept.write_text(kept.read_text().replace("cat", "cot"))
    with pytest.raises(UserError, match=r"conversations\.jsonl was altered"):
        resume(copy)
    (copy / "chat.json").write_text("{}")
    with pytest.raises(UserError, match=r"chat\.json was altered|conversations"):
        resume(copy)


def test_it_learns_to_answer_and_to_stop(config, tmp_path):
    recipe = {"steps": 80, "batch_size": 8, "optimizer": "muon", "eval_every": None}
    longer = config.replace("training", **recipe, sample_every=None)
    longer = longer.replace("model", d_model=32, dropout=0.0)
    session = begin(longer, tmp_path / "run")
    Trainer(session).run()
    score = session.objective.score(session.model)
    assert score.asked == 13 and score.right >= 10 and score.ended == 13
    opened = tinygpt.open(tmp_path / "run")
    (answer,) = answers(opened.model, opened.tokenizer, opened.form,
                        [[{"role": "user", "content": "say cat dog"}]])
    assert answer == ("CAT DOG", True)
    result = call(chat, [str(tmp_path / "run"), "--once", "say cat dog", "--temperature", "0"])
    assert result.exit_code == 0 and result.output == "CAT DOG\n"
    assert "held-out questions answered rightly" in session.objective.closing(session.model)[0]


def test_with_the_end_masked_it_does_not_stop(config, tmp_path):
    """The test of the test: what is not in the mask is not learned."""
    recipe = {"steps": 30, "batch_size": 8, "optimizer": "muon", "eval_every": None}
    longer = config.replace("training", **recipe, sample_every=None)
    session = begin(longer.replace("model", dropout=0.0), tmp_path / "run")
    for sample in session.objective.samples:
        sample.learned[-1] = False
    Trainer(session).run()
    assert session.objective.score(session.model).ended == 0


def test_evaluation_is_of_all_that_is_held_out(config, tmp_path):
    objective = Finetuning.prepare(config, tmp_path, None)
    model = objective.build(np.random.default_rng(0)).eval()
    whole = objective.evaluate(model)
    apart = dataclasses.replace(config, data=dataclasses.replace(config.data, packed=False))
    padded = Finetuning.prepare(apart, tmp_path, None)
    assert padded.evaluate(model) == pytest.approx(whole, rel=1e-5)
    assert objective.evaluate(model, limit=40) != whole
    alone = Finetuning.prepare(config.replace("data", held_out=0.0), tmp_path, None)
    assert alone.evaluate(model) is None and alone.write(model, 1) is None
    assert alone.closing(model) == []


def test_a_base_of_characters_learns_whose_turn_it_is(base, talk, tmp_path):
    out = tmp_path / "out"
    done = call(finetune, [str(base), "--data", str(talk), "--out", str(out),
                           "--set", "training.steps=3"])
    assert done.exit_code == 0, done.output
    assert "Done: 3 steps" in done.output and "tinygpt chat" in done.output
    assert "held-out questions answered rightly" in done.output
    before, old = open_model(base)
    after, new = open_model(out)
    assert new.vocab_size == old.vocab_size + 6 and new.characters == old.characters
    assert after.shape == dataclasses.replace(before.shape, vocab_size=new.vocab_size)
    moved = after.state_dict()["token_embedding.weight"][: old.vocab_size]
    assert 0 < np.abs(moved - before.state_dict()["token_embedding.weight"]).max() < 0.01
    assert "<|assistant|>" in form_of(out).template
    config = Run.open(out).config
    assert config.base == str(base) and config.method.name == "full"
    again = call(finetune, ["--out", str(out), "--resume", "--set", "training.steps=5"])
    assert again.exit_code == 0 and "Done: 5 steps" in again.output


def test_new_rows_are_as_large_as_the_old():
    tokenizer = with_turns(CharTokenizer("abc", ("<|end|>",)))
    assert list(tokenizer.special_tokens)[0] == "<|end|>" and tokenizer.vocab_size == 3 + 6
    model = build(ModelShape(vocab_size=50, d_model=40), np.random.default_rng(0))
    old = model.state_dict()["token_embedding.weight"]
    old += 2
    new = with_rows(model, 90, MethodConfig("full"), 1).state_dict()["token_embedding.weight"]
    np.testing.assert_array_equal(new[:50], old)
    assert abs(new[50:].mean() - 2) < 0.1 and 0.5 < new[50:].std() / old.std() < 2


def test_what_a_run_learned_goes_wherever_its_model_goes(run, tmp_path):
    form = chat_form(run)
    file = str(tmp_path / "small.tgpt")
    measured = call(quantize, [str(run), "--to", "int8", "--out", file]).output
    assert "measured on what was held out" in measured
    assert form_of(file) == form
    call(export, [str(run), "--to", "hf", "--out", str(tmp_path / "hf")])
    assert form_of(tmp_path / "hf").template == form.template
    out = tmp_path / "again"  # and from there it is taught on
    done = call(finetune, [file, "--data", str(Run.open(run).config.data.source), "--out",
                           str(out), "--set", "training.steps=1"])
    assert done.exit_code == 0 and form_of(out) == form


def test_chat_says_when_no_template_was_taught(base, run):
    untaught = call(chat, [str(base), "--once", "say cat", "--max-tokens", "3"])
    assert untaught.exit_code == 0 and "taught no template" in untaught.stderr
    taught = call(chat, [str(run), "--once", "say cat", "--roles"])
    assert taught.exit_code == 0 and not taught.stderr
    assert "the question is empty" in CALL(chat, [str(run), "--once", " "]).output


def test_a_sample_is_shown_as_it_is_read(base, talk):
    shown = call(finetune, [str(base), "--data", str(talk), "--show", "1"]).output
    objective = Finetuning.prepare(
        from_dict({"objective": "finetuning", "base": str(base), "data": {"source": str(talk)}}),
        base, None,
    )
    question, answer = (m.content for m in objective.data.train[0].messages)
    assert f"<|user|>{question}<|end|><|assistant|>[{answer}<|end|>]" in shown
    ids = objective.samples[0].ids.tolist()
    assert " ".join(map(str, ids)) in shown.replace("[", "").replace("]", "")
    assert f"{len(ids)} tokens, {len(answer) + 1} learned" in shown


def test_plan_report_and_samples_know_it(base, talk, run, tmp_path):
    planned = call(finetune, [str(base), "--data", str(talk), "--plan"])
    assert planned.exit_code == 0 and "132 conversations" not in planned.output
    assert "119 conversations to learn from, 13 held out" in planned.output
    toml = tmp_path / "c.toml"
    toml.write_text(f'objective = "finetuning"\nbase = "{base}"\n[data]\nsource = "{talk}"\n')
    done = call(train, [str(toml), "--out", str(tmp_path / "out"), "--set", "training.steps=2"])
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert done.exit_code == 0 and "A GPT that answers" in page and "capitals.jsonl" in page
    assert "of 13 held-out questions answered rightly" in (run / "samples.jsonl").read_text()


def test_a_plan_says_what_stands_beside_what_and_in_whose_tokens(able, talk):
    """The tokens are the base's, whatever [tokenizer] would have made."""
    planned = call(finetune, [str(able), "--data", str(talk), "--method", "lora", "--plan"])
    words = " ".join(planned.output.split())
    assert "parameters: lora beside 0.01 million, 2 layers" in words
    assert "characters" not in words


def test_epochs_are_counted_in_rows(config, tmp_path):
    made = Finetuning.prepare(config.replace("data", epochs=2.0), tmp_path, None)
    batches = made.batches(None, np.random.default_rng(0))
    seen = sum(next(batches).tokens for _ in range(made.config.training.steps))
    assert seen == pytest.approx(2 * made.data_tokens()[0], rel=0.1)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"length": 8}, r"line \d+ of .* is \d+ tokens long, and data.length 8 \(\d+ more"),
        ({"length": 65}, "data.length = 65 is more than the model's context of 64"),
        ({"held_out": 0.999}, "132 of them held out, leave none"),
        ({"source": ""}, "there are no conversations. Name a file"),
        ({"template": "llama3"}, "which this model's vocabulary lacks"),
    ],
)
def test_data_that_cannot_be_learned(config, data, said, tmp_path):
    with pytest.raises(DataError, match=said):
        Finetuning.prepare(config.replace("data", **data), tmp_path, None)


def test_a_turn_longer_than_the_context_is_named_by_its_line(base, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(f"question,answer\nsay cat,CAT\nsay it,{'IT ' * 30}\n")
    with pytest.raises(DataError, match=r"line 3 of .* long, and the model's context 48\. Short"):
        call(finetune, [str(base), "--data", str(path), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_a_character_that_the_base_never_saw_is_named_by_its_line(base, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("question,answer\nsay cat,CAT\nsay ß,SS\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 3 of .*'ß'"):
        call(finetune, [str(base), "--data", str(path), "--out", str(tmp_path / "out")])


def test_what_cannot_be_a_base(config, tmp_path):
    with pytest.raises(ConfigError, match='"encoder" cannot answer'):
        from_dict({"objective": "finetuning", "model": {"family": "bert"}})
    tinygpt.train(from_dict({
        "objective": "seq2seq", "data": {"source": "numbers", "count": 30},
        "model": {"family": "t5", "n_layers": 1, "d_model": 16, "n_heads": 2, "context": 80},
        "training": {"steps": 1},
    }), tmp_path / "t5")
    with pytest.raises(UserError, match="is of the kind encoder-decoder, and what answers"):
        Finetuning.prepare(dataclasses.replace(config, base=str(tmp_path / "t5")), tmp_path, None)
    assert "Give a BASE" in CALL(finetune, ["--data", "a.jsonl"]).output


METHODS = tuple(name for name in adapters_config.METHODS if name != "full")


@pytest.fixture(scope="module")
def able(config, tmp_path_factory):
    """A base that has the tokens to tell turns apart."""
    path = tmp_path_factory.mktemp("able") / "run"
    tinygpt.train(config.replace("training", steps=2).replace("model", dropout=0.0), path)
    return path


@pytest.mark.parametrize("method", METHODS)
def test_an_adapter_is_trained_kept_and_opened_with_its_base(method, able, talk, tmp_path):
    out = tmp_path / "out"
    call_of = [str(able), "--data", str(talk), "--method", method, "--out", str(out),
               "--rank", "2", "--set", "training.steps=3", "--set", "method.tokens=4",
               "--set", "method.width=4"]
    done = call(finetune, call_of)
    assert done.exit_code == 0, done.output
    run, saved = Run.open(out), Run.open(out).find("last")
    objective = Finetuning.reopen(run, print)
    assert saved.parameters() == objective.parameters < 0.5 * run.config.model.parameters
    session = resume(out)
    session.model.eval()
    ids = np.array([[1, 2, 3]])
    right = session.model(ids).data
    np.testing.assert_array_equal(load_model(Run.open(out))(ids).data, right)
    np.testing.assert_allclose(open_model(out)[0](ids).data, right, rtol=0, atol=1e-6)  # settled
    again = call(finetune, ["--out", str(out), "--resume", "--set", "training.steps=4"])
    assert again.exit_code == 0 and "Done: 4 steps" in again.output
    assert call(chat, [str(out), "--once", "say cat", "--max-tokens", "3"]).exit_code == 0


def test_a_merged_adapter_needs_no_base(able, talk, tmp_path):
    out = tmp_path / "out"
    call(finetune, [str(able), "--data", str(talk), "--method", "lora", "--rank", "2", "--out",
                    str(out), "--set", "training.steps=3"])
    assert call(merge, [str(out), "--out", str(tmp_path / "one")]).exit_code == 0
    ids = np.array([[1, 2, 3]])
    one, _ = open_model(tmp_path / "one")
    np.testing.assert_allclose(one(ids).data, open_model(out)[0](ids).data, atol=1e-5)
    assert form_of(tmp_path / "one") == form_of(out)
    with pytest.raises(UserError, match="has no adapter: it is one model already"):
        call(merge, [str(able), "--out", str(tmp_path / "two")])


def test_an_adapter_of_another_base_is_refused(able, talk, config, tmp_path):
    base = shutil.copytree(able, tmp_path / "base")
    out = tmp_path / "out"
    call(finetune, [str(base), "--data", str(talk), "--method", "lora", "--out", str(out),
                    "--set", "training.steps=2"])
    shutil.rmtree(base)
    tinygpt.train(config.replace("training", steps=3).replace("model", dropout=0.0), base)
    for opening in (open_model, resume):
        with pytest.raises(UserError, match="base was .* and is"):
            opening(out)


def test_adapters_and_what_they_cannot_do(base, talk, config):
    with pytest.raises(ConfigError, match='"lora" adapts a base, and there is none'):
        from_dict({"objective": "finetuning", "method": {"name": "lora"}})
    with pytest.raises(UserError, match="method lora keeps the vocabulary of its base"):
        call(finetune, [str(base), "--data", str(talk), "--method", "lora", "--show", "1"])
