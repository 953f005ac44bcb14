"""Encoders and encoder-decoders, quantized: the file embeds and translates as the model does."""

import itertools
import json

import numpy as np
import pytest
from click.testing import CliRunner

import tinygpt
from tinygpt.cli import cli
from tinygpt.compression.quantize import quantize_model
from tinygpt.config import from_dict
from tinygpt.errors import UserError
from tinygpt.finetuning.classification import open_classifier
from tinygpt.training.begin import begin
from tinygpt.training.trainer import Trainer

TRAINING = {"steps": 30, "batch_size": 4, "lr": 1e-2, "min_lr": 1e-3, "warmup_steps": 5,
            "eval_every": None, "checkpoint_every": None, "sample_every": None}
SHAPE = {"n_layers": 2, "n_heads": 2, "d_model": 32, "context": 16}


def trained(folder, **sections):
    Trainer(begin(from_dict({"training": TRAINING, **sections}), folder)).run()
    return folder


@pytest.fixture(scope="module", params=["bert", "albert"])
def encoder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    words = np.random.default_rng(0).choice("red hat cat sat mat ran dog".split(), 2000)
    (folder / "text.txt").write_text(" ".join(words))
    few = {"embedding_size": 16} if request.param == "albert" else {}
    return trained(
        folder / "run", model={**SHAPE, **few, "family": request.param},
        data={"source": str(folder / "text.txt"), "by_position": True},
    )


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("t5")
    words = map("".join, itertools.product("abcd", repeat=3))
    (folder / "pairs.tsv").write_text("".join(f"{word}\t{word[::-1].upper()}\n" for word in words))
    return trained(
        folder / "run", objective="seq2seq", model={**SHAPE, "family": "t5"},
        data={"source": str(folder / "pairs.tsv")},
    )


def call(*words):
    result = CliRunner().invoke(cli, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


def test_an_encoder_embeds_from_a_quantized_file(encoder, tmp_path):
    said = call("quantize", encoder, "--to", "int8", "--out", tmp_path / "m")
    assert "nats per hidden token" in said and "embed" in said
    (tmp_path / "lines.txt").write_text("a red hat\nthe dog ran\n".replace("the", "red"))
    call("embed", tmp_path / "m", tmp_path / "lines.txt", "--out", tmp_path / "v.npy")
    vectors = np.load(tmp_path / "v.npy")
    before = tinygpt.open(encoder).embed(["a red hat", "red dog ran"])
    assert ((vectors * before).sum(axis=1) > 0.999).all()


def test_an_encoder_decoder_translates_from_a_quantized_file(translator, tmp_path):
    said = call("quantize", translator, "--to", "int8", "--out", tmp_path / "m")
    assert "nats per token" in said and "tokens/s" not in said
    run, file = tinygpt.open(translator), tinygpt.open(tmp_path / "m")
    quantize_model(run.model, "int8")
    texts = ["abc", "dda", "bca"]
    assert file.translate(texts) == run.translate(texts)
    assert call("generate", tmp_path / "m", "--prompt", "abc").strip() == file.translate("abc")[0]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classes")
    words = "red blue green".split(), "dog cat cow".split()
    rows = [{"text": f"we saw a {word} one and a {other} one", "label": label}
            for label, of in zip(("colour", "animal"), words, strict=True)
            for word in of for other in of * 3]
    (folder / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return trained(
        folder / "run", objective="classification", model={**SHAPE, "family": "bert"},
        data={"source": str(folder / "c.jsonl")},
    )


@pytest.mark.parametrize(("scheme", "off"), [("int8", 0.01), ("int4", 0.15)])
def test_a_classifier_classifies_from_a_quantized_file(classifier, tmp_path, scheme, off):
    said = call("quantize", classifier, "--to", scheme, "--out", tmp_path / "m")
    assert "nats per text" in said and "answers right" in said and "classify" in said
    texts = ["we saw a red one and a blue one", "we saw a cow one and a cat one", "a dog"]
    before, after = open_classifier(classifier), open_classifier(tmp_path / "m")
    for one, other in zip(before.classify(texts), after.classify(texts), strict=True):
        assert next(iter(one)) == next(iter(other))  # the likeliest
        for name, share in one.items():
            assert other[name] == pytest.approx(share, abs=off)
    told = call("classify", tmp_path / "m", texts[0])
    assert told.startswith("colour ") and "animal" in told
    small, whole = (tmp_path / "m").stat().st_size, 4 * before.model.count_parameters()
    assert small < 0.6 * whole


def test_what_classifies_is_not_taken_for_what_writes(classifier, encoder, tmp_path):
    call("quantize", classifier, "--out", tmp_path / "m")
    for command in ("generate", "chat", "embed"):
        words = [command, str(tmp_path / "m")]
        words += [str(tmp_path / "t"), "--out", "v"] * (command == "embed")
        result = CliRunner().invoke(cli, words)
        assert "is a model of classification, which makes no language model" in str(
            result.exception), (command, result.output)
    call("quantize", encoder, "--out", tmp_path / "e")
    with pytest.raises(UserError, match="is a model of masked, which learns no classes"):
        open_classifier(tmp_path / "e")


@pytest.mark.parametrize("option", [["--sweep"], ["--text", "{}"]])
def test_next_tokens_are_no_measure_of_an_encoder(encoder, tmp_path, option):
    (tmp_path / "text.txt").write_text("red hat")
    words = [word.format(tmp_path / "text.txt") for word in option]
    with pytest.raises(UserError, match="whose next tokens say nothing of it"):
        CliRunner().invoke(cli, ["quantize", str(encoder), *words], catch_exceptions=False)
