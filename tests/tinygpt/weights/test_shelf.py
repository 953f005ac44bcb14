"""What lies around is told by what it is, found by its name, looked into and deleted."""

import pytest
from click.testing import CliRunner

from tests.tinygpt.exchange.models import made, tokenizer_of
from tinygpt.cli import cli
from tinygpt.errors import UsageError
from tinygpt.exchange.gguf_models import write_gguf
from tinygpt.exchange.huggingface_folder import write_folder
from tinygpt.weights import shelf


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The user's folder: a GGUF file, a Hugging Face folder, a damaged file, and what is none."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("TINYGPT_MODELS", str(folder))
    monkeypatch.chdir(tmp_path)
    write_gguf(folder / "small.gguf", made("llama", d_model=32, d_ff=32), tokenizer_of(300), "Q8_0")
    write_folder(folder / "theirs", made("qwen2"), tokenizer_of(300))
    (folder / "broken.gguf").write_bytes(b"GGUF")
    (folder / "notes.txt").write_text("no model")
    return folder


def test_models_are_told_by_what_they_are(own):
    found = {model.path.name: model for model in shelf.models(own)}
    assert set(found) == {"small.gguf", "theirs", "broken.gguf"}
    small, theirs = found["small.gguf"], found["theirs"]
    assert (small.source, small.family, small.held, small.context) == ("GGUF", "llama", "Q8_0", 16)
    assert small.size == (own / "small.gguf").stat().st_size
    assert (theirs.source, theirs.family, theirs.held) == ("Hugging Face", "qwen2", "F32")
    assert found["broken.gguf"].wrong


def test_a_run_and_a_quantized_file_are_models(own, trained):
    found = {model.source: model for model in shelf.models(trained)}
    assert (found["run"].held, found["run"].context) == ("float32", 16)
    assert found["tinygpt"].held == "int8"


@pytest.fixture
def trained(tmp_path, tiny_text):
    """A folder with a run and a quantized file."""
    folder = tmp_path / "here"
    settings = ["model.n_layers=1", "model.n_heads=2", "model.d_model=16", "model.context=16",
                "training.steps=1", "training.eval_tokens=200"]
    sets = [part for setting in settings for part in ("--set", setting)]
    for line in (
        ["train", "--data", str(tiny_text), *sets, "--out", str(folder / "run")],
        ["quantize", str(folder / "run"), "--out", str(folder / "f.tgpt"), "--eval-tokens", "50"],
    ):
        done = CliRunner().invoke(cli, line, catch_exceptions=False)
        assert done.exit_code == 0, done.output
    return folder


def test_a_name_is_what_is_here_then_what_is_the_users(own):
    assert shelf.named("small") == str(own / "small.gguf")
    assert shelf.named("theirs") == str(own / "theirs")
    assert shelf.named("nothing") == "nothing"
    assert shelf.named("deep/small") == "deep/small"
    (own.parent / "small").mkdir()
    assert shelf.named("small") == "small"


def test_a_name_stands_for_a_path_in_generate(own):
    done = CliRunner().invoke(cli, ["generate", "small", "--prompt", "cat", "--max-tokens", "2"])
    assert done.exit_code == 0 and "\ncat" in done.output


def test_info_shows_every_key_and_tensor(own):
    done = CliRunner().invoke(cli, ["models", "info", "small"])
    assert done.exit_code == 0
    assert "llama.context_length = 16" in done.output
    assert "blk.1.ffn_down.weight  Q8_0  (32, 32)" in done.output
    keys, tensors = shelf.details(shelf.look(own / "theirs"))
    assert keys["model_type"] == "qwen2"
    assert tensors["model.norm.weight"] == ("F32", "(24,)")


def test_the_list_names_each_and_why_one_cannot_be_opened(own):
    done = CliRunner().invoke(cli, ["models"])
    assert done.exit_code == 0
    assert "small.gguf" in done.output and "broken.gguf: has 4 bytes" in done.output


def test_rm_asks_and_deletes(own):
    path = own / "small.gguf"
    assert CliRunner().invoke(cli, ["models", "rm", "small"], input="n\n").exit_code != 0
    assert path.exists()
    assert CliRunner().invoke(cli, ["models", "rm", "small", "--yes"]).exit_code == 0
    assert CliRunner().invoke(cli, ["models", "rm", "theirs", "--yes"]).exit_code == 0
    assert {file.name for file in own.iterdir()} == {"broken.gguf", "notes.txt"}


def test_what_is_no_model_is_not_deleted(own):
    done = CliRunner().invoke(cli, ["models", "rm", str(own / "notes.txt"), "--yes"])
    assert isinstance(done.exception, UsageError) and "is no model" in str(done.exception)
    assert (own / "notes.txt").exists()
