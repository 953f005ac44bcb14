"""Encoders and encoder-decoders, quantized: the file embeds and translates as the model does."""

import itertools

import numpy as np
import pytest
from click.testing import CliRunner

import tinygpt
from tinygpt.cli import cli
from tinygpt.compression.quantize import quantize_model
from tinygpt.config import from_dict
from tinygpt.errors import UserError
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


@pytest.mark.parametrize("option", [["--sweep"], ["--text", "{}"]])
def test_next_tokens_are_no_measure_of_an_encoder(encoder, tmp_path, option):
    (tmp_path / "text.txt").write_text("red hat")
    words = [word.format(tmp_path / "text.txt") for word in option]
    with pytest.raises(UserError, match="whose next tokens say nothing of it"):
        CliRunner().invoke(cli, ["quantize", str(encoder), *words], catch_exceptions=False)
