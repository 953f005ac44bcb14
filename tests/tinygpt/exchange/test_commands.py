"""`tinygpt import` and `export --to hf`, and the commands that open a folder as it is."""

import io
import json

import numpy as np
import pytest

from tests.tinygpt.exchange.models import FAMILIES, made, tokenizer_of
from tinygpt import open as open_path
from tinygpt.cli import main
from tinygpt.exchange.huggingface_folder import write_folder
from tinygpt.runs.chat_form import ChatForm
from tinygpt.weights.open import form_of, open_model

FORM = ChatForm("{% for m in messages %}<|user|>{{ m.content }}<|end|>{% endfor %}<|assistant|>",
                "<|endoftext|>", "<|end|>", ("<|end|>",))


def run(*arguments):
    """The exit code of a command."""
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return end.value.code


@pytest.fixture
def folder(tmp_path):
    write_folder(tmp_path / "hf", made("llama", context=64), tokenizer_of(300), FORM)
    return tmp_path / "hf"


@pytest.mark.parametrize("name", ["gpt", "qwen3", "bert", "albert", "t5"])
def test_every_assembly_is_imported_and_exported_as_it_was(name, tmp_path):
    write_folder(tmp_path / "hf", made(name), tokenizer_of(300), FORM)
    assert run("import", tmp_path / "hf", "--out", tmp_path / "run") == 0
    assert run("export", tmp_path / "run", "--to", "hf", "--out", tmp_path / "again") == 0
    for path in (tmp_path / "hf").iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name
    assert name in FAMILIES and form_of(tmp_path / "run") == FORM


def test_a_folder_is_generated_from_quantized_and_chatted_with(folder, capsys, monkeypatch):
    assert run("generate", folder, "--prompt", "the cat", "--max-tokens", 5) == 0
    direct = capsys.readouterr().out
    assert direct.startswith("the cat")
    assert run("import", folder, "--out", folder.parent / "run") == 0
    capsys.readouterr()
    assert run("generate", folder.parent / "run", "--prompt", "the cat", "--max-tokens", 5) == 0
    assert capsys.readouterr().out == direct
    small = folder.parent / "small.tgpt"
    assert run("quantize", folder, "--to", "int8", "--out", small) == 0
    assert form_of(small) == FORM
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"the cat\nsat\n")))
    assert run("chat", small, "--max-tokens", 2) == 0
    assert "This is a base model" not in capsys.readouterr().out


def test_a_prompt_is_opened_and_ended_as_the_model_was_taught(folder):
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "add_bos_token": True}))
    opened = open_path(folder)
    assert opened.form.opens and opened.form.ends == ("<|end|>",)
    model, tokenizer = open_model(folder)
    ids = [tokenizer.special_id("<|endoftext|>"), *tokenizer.encode("the")]
    best = int(model(np.array([ids])).data[0, -1].argmax())
    text = "".join(opened.generate("the", 1, temperature=0))
    assert text == tokenizer.decode([best])


def test_bad_folders_and_wrong_options_end_with_a_sentence(folder, capsys):
    assert run("export", folder, "--to", "hf") == 2
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    for command in ("generate", "chat", "quantize"):
        assert run(command, folder) == 1
        said = capsys.readouterr().err
        assert "pickled weights only" in said and "--debug" not in said
    assert run("import", folder, "--out", folder.parent / "run") == 1
    assert not (folder.parent / "run").exists()
