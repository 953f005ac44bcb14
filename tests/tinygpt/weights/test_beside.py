"""Adapters beside a base: opened once, shared, switched, exported, and refused by name."""

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

import tinygpt
from tinygpt.cli import cli
from tinygpt.config import from_dict
from tinygpt.errors import UserError
from tinygpt.exchange.peft import CONFIG
from tinygpt.inference.network import network_of
from tinygpt.runs.chat_form import chat_form
from tinygpt.weights import shelf
from tinygpt.weights.beside import Base, named
from tinygpt.weights.open import form_of, open_model

METHODS = ("lora", "dora", "qlora", "ia3", "prefix", "prompt", "bottleneck")
IDS = np.array([[1, 2, 3, 4]])


def call(*line, **how):
    done = CliRunner().invoke(cli, [str(part) for part in line], catch_exceptions=False, **how)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """base: a run that has the tokens to tell turns apart; lora, dora ...: learned beside it."""
    folder = tmp_path_factory.mktemp("adapters")
    data = folder / "talk.jsonl"
    words = "cat dog hat mat".split()
    data.write_text("".join(
        json.dumps({"question": f"say {a} {b}", "answer": f"{b} {a}"}) + "\n"
        for a in words for b in words
    ))
    tinygpt.train(from_dict({
        "objective": "finetuning", "data": {"source": str(data)},
        "model": {"n_layers": 2, "n_heads": 2, "d_model": 16, "context": 64},
        "training": {"steps": 2, "batch_size": 4},
    }), folder / "base")
    for method in METHODS:
        call("finetune", folder / "base", "--data", data, "--method", method, "--rank", 2,
             "--out", folder / method, "--set", "training.steps=4", "--set", "training.lr=0.05",
             "--set", "method.tokens=3", "--set", "training.warmup_steps=0")
    return folder


def opened(folder, *adapters, base="base"):
    return Base.open(str(folder / base), [str(folder / one) for one in adapters], pytest.fail)


def test_adapters_share_one_base_and_answer_as_their_runs_do(folder):
    names = [method for method in METHODS if method != "qlora"]
    base = opened(folder, *names)
    before = open_model(folder / "base")[0](IDS).data
    for name in names:
        ours, alone = base.adapted[name], open_model(folder / name)[0]
        np.testing.assert_array_equal(ours.model(IDS).data, alone(IDS).data)
        assert ours.form == form_of(folder / name)
        assert np.abs(ours.model(IDS).data - before).max() > 1e-3
        table = ours.model.token_embedding.weight.data
        assert np.shares_memory(table, base.model.token_embedding.weight.data)
        assert (network_of(ours.model) is None) == (name == "bottleneck")
    np.testing.assert_array_equal(base.model(IDS).data, before)
    lora = base.adapted["lora"].model.blocks[1].mlp.up.base.weight.data
    assert np.shares_memory(lora, base.model.blocks[1].mlp.up.weight.data)


@pytest.mark.parametrize("name", ["lora", "dora", "ia3", "prefix", "prompt"])
def test_exported_for_peft_it_is_the_same_adapter(name, folder, tmp_path):
    out = tmp_path / "theirs"
    said = call("export", folder / name, "--to", "peft", "--out", out)
    assert "for PEFT to put beside" in said
    assert {file.name for file in out.iterdir()} == {
        CONFIG, "adapter_model.safetensors", "chat.json"
    }
    assert chat_form(out) == form_of(folder / name)
    base = Base.open(str(folder / "base"), [f"one={out}"], pytest.fail)
    np.testing.assert_allclose(
        base.adapted["one"].model(IDS).data, open_model(folder / name)[0](IDS).data, atol=1e-5
    )


def test_a_quantized_base_takes_an_adapter_of_peft(folder, tmp_path):
    call("export", folder / "lora", "--to", "peft", "--out", tmp_path / "peft")
    call("quantize", folder / "base", "--to", "nf4", "--out", tmp_path / "base.tgpt",
         "--eval-tokens", 50)
    with pytest.raises(UserError, match="trained on another base"):  # its tables are rounded
        Base.open(str(tmp_path / "base.tgpt"), [str(folder / "lora")], pytest.fail)
    base = Base.open(str(tmp_path / "base.tgpt"), [f"a={tmp_path / 'peft'}"], pytest.fail)
    assert network_of(base.adapted["a"].model) is not None
    assert np.abs(base.adapted["a"].model(IDS).data - base.model(IDS).data).max() > 1e-3


def test_generate_writes_with_each_in_turn(folder):
    line = ("generate", folder / "base", "--prompt", "say cat", "--max-tokens", 5)
    both = call(*line, "--adapter", folder / "lora", "--adapter", f"two={folder / 'ia3'}")
    assert re.findall(r"^\[(.*)\]$", both, re.MULTILINE) == ["lora", "two"]
    one = call(*line, "--adapter", folder / "lora")
    assert one in both and one == call("generate", folder / "lora", *line[2:])


def test_chat_changes_the_adapter_and_keeps_what_was_said(folder):
    said = "say cat dog\n/adapter base\nsay hat mat\n/adapter none\n/adapter ia3\nsay mat\n"
    text = call("chat", folder / "base", "--adapter", folder / "lora", "--adapter",
                folder / "ia3", "--max-tokens", 4, input=said)
    assert "another answer: base, lora, ia3" in text
    assert "base answers" in text and "ia3 answers" in text
    assert "no adapter is called 'none'. There are: base, lora, ia3." in text
    once = ("--once", "say cat", "--max-tokens", 4, "--temperature", 0)
    assert call("chat", folder / "base", "--adapter", folder / "lora", *once) == call(
        "chat", folder / "lora", *once
    )


@pytest.mark.parametrize("to", ["hf", "gguf"])
def test_for_others_it_is_merged_or_refused_with_the_reason(to, folder, tmp_path):
    if to == "hf":
        call("export", folder / "dora", "--to", to, "--out", tmp_path / "dora")
        np.testing.assert_allclose(
            open_model(tmp_path / "dora")[0](IDS).data, open_model(folder / "dora")[0](IDS).data,
            atol=1e-5,
        )
    for name in ("prefix", "bottleneck"):
        with pytest.raises(UserError, match="no adapter that could become part of its matrices"):
            call("export", folder / name, "--to", to, "--out", tmp_path / name)
        assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("adapter", "said"),
    [
        ("nowhere", "there is no"),
        ("base", "has no adapter: it is one model already"),
        ("talk.jsonl", "is not a run folder"),
    ],
)
def test_what_is_no_adapter_is_said_in_a_sentence(adapter, said, folder):
    with pytest.raises(UserError, match=said):
        Base.open(str(folder / "base"), [f"x={folder / adapter}"], pytest.fail)


def test_two_of_one_name_and_a_whole_model_that_is_none_are_refused(folder, tmp_path):
    with pytest.raises(UserError, match="two are called lora"):
        opened(folder, "lora", "lora")
    call("export", folder / "lora", "--to", "peft", "--out", tmp_path / "peft")
    with pytest.raises(UserError, match="is an adapter, which stands beside a model"):
        open_model(tmp_path / "peft")
    with pytest.raises(UserError, match="has no adapter: it is one model already"):
        call("export", folder / "base", "--to", "peft", "--out", tmp_path / "no")


def test_an_adapter_of_another_base_is_refused(folder, tmp_path):
    other = tmp_path / "other"
    call("merge", folder / "lora", "--out", other)
    with pytest.raises(UserError, match="was trained on another base than"):
        Base.open(str(other), [str(folder / "ia3")], pytest.fail)


def test_a_name_may_hold_an_equals_sign_where_there_is_such_a_place(folder, tmp_path):
    odd = tmp_path / "a=b"
    odd.mkdir()
    assert named(str(odd)) == ("a=b", odd)
    assert named(f"x={odd}") == ("x", odd)


def test_models_and_info_know_adapters(folder, tmp_path):
    found = {model.path.name: model for model in shelf.models(folder)}
    assert (found["lora"].source, found["lora"].held) == ("run", "lora beside base")
    out = tmp_path / "peft"
    call("export", folder / "lora", "--to", "peft", "--out", out)
    model = shelf.look(out)
    assert (model.source, model.held) == ("PEFT", "LORA of rank 2")
    assert model.family.startswith("adapter of ")
    text = call("models", "info", out)
    assert "lora_alpha = 16" in text and "lora_A.weight" in text
    (out / CONFIG).write_text("{}")
    assert "peft_type" in shelf.look(out).wrong
