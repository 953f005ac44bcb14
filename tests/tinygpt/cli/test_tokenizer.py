"""`tinygpt tokenizer`: the commands do what they say, and refuse in one sentence."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tinygpt.tokenizer.models import model
from tinygpt.cli import main
from tinygpt.tokenizer import load

TEXT = "The cat sat on the mat, and the other cat sat on the hat.\n" * 20 + "naïve café\r\n"


@pytest.fixture
def tinygpt(capfdbinary):
    """Run a command line in this process: exit code, output, errors."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        return int(stop.value.code or 0), out, err.decode()

    return run


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(TEXT.encode())
    return path


@pytest.fixture
def trained(tinygpt, text_file, tmp_path):
    out = tmp_path / "t.json"
    code, shown, _ = tinygpt("tokenizer", "train", text_file, "--vocab-size", 280, "--out", out)
    assert code == 0 and b"280 tokens" in shown
    return out


@pytest.mark.parametrize(
    ("options", "text"), [([], TEXT.replace("\r\n", "\n")), (["--bytes"], TEXT)]
)
def test_encode_and_decode_give_the_text_back(
    tinygpt, trained, text_file, tmp_path, options, text
):
    ids = tmp_path / "ids.bin"
    assert tinygpt("tokenizer", "encode", trained, text_file, "--out", ids, *options)[0] == 0
    expected = load(trained).encode_array(text)
    assert np.array_equal(np.fromfile(ids, np.uint16), expected)
    assert tinygpt("tokenizer", "decode", trained, "--file", ids)[1] == text.encode()
    code, shown, _ = tinygpt("tokenizer", "encode", trained, "--text", "the cat")
    assert code == 0
    assert tinygpt("tokenizer", "decode", trained, *shown.decode().split())[1] == b"the cat"


def test_a_folder_is_the_sum_of_its_files(tinygpt, text_file, tmp_path, trained):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.txt").write_text(TEXT[:500])
    (folder / "b.md").write_text(TEXT[500:])
    (folder / "ignored.bin").write_bytes(b"\0" * 9)
    out = tmp_path / "folder.json"
    assert tinygpt("tokenizer", "train", folder, "--vocab-size", 280, "--out", out)[0] == 0
    assert load(out).vocab_size == 280


def test_char_kind(tinygpt, text_file, tmp_path):
    out = tmp_path / "char.json"
    assert tinygpt("tokenizer", "train", text_file, "--kind", "char", "--out", out)[0] == 0
    assert load(out).vocab_size == len(set(TEXT) - {"\r"})


def test_unigram_kind(tinygpt, text_file, tmp_path):
    out = tmp_path / "unigram.json"
    arguments = ("tokenizer", "train", text_file, "--kind", "unigram", "--out", out)
    code, shown, _ = tinygpt(*arguments, "--vocab-size", 270)
    assert code == 0 and b"8 pieces" in shown
    assert load(out).decode(load(out).encode(TEXT)) == TEXT
    code, shown, _ = tinygpt("tokenizer", "inspect", out, "the cat")
    assert code == 0 and "270 ids: 256 bytes, 8 pieces" in shown.decode()
    code, _, said = tinygpt(*arguments, "--format", "tiktoken")
    assert code == 2 and "cannot be saved as tiktoken" in said


def test_a_model_of_sentencepiece_is_used_and_kept(tinygpt, tmp_path):
    path, copy = tmp_path / "some.model", tmp_path / "copy.json"
    path.write_bytes(model())
    assert tinygpt("tokenizer", "encode", path, "--text", "ab c")[1].split() == [
        str(i).encode() for i in load(path).encode("ab c")
    ]
    code, shown, _ = tinygpt("tokenizer", "inspect", path, "ab c")
    assert code == 0 and "12 ids of SentencePiece's unigram" in shown.decode()
    assert tinygpt("tokenizer", "convert", path, copy, "--format", "tinygpt")[0] == 0
    ids = tinygpt("tokenizer", "encode", copy, "--text", "ab c")[1].split()
    assert tinygpt("tokenizer", "decode", copy, *(i.decode() for i in ids))[1] == b"ab c"
    code, _, said = tinygpt("tokenizer", "convert", path, copy, "--format", "huggingface")
    assert code == 1 and "only byte-level BPE" in said


def test_inspect_shows_the_cut_and_the_tree(tinygpt, trained):
    code, shown, _ = tinygpt("tokenizer", "inspect", trained, "the cat<|end|>")
    shown = shown.decode()
    assert code == 0
    assert "[the][ cat][<|end|>]" in shown and "“ cat”" in shown and "3 tokens" in shown


def test_compare_puts_them_side_by_side(tinygpt, trained, text_file):
    code, shown, _ = tinygpt("tokenizer", "compare", trained, trained, "--text", text_file)
    assert code == 0
    assert shown.decode().count("280") == 2
    assert "bits/byte" not in shown.decode()


def test_compare_trains_a_model_on_each(tinygpt, trained, text_file, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    code, shown, _ = tinygpt(
        "tokenizer", "compare", trained, trained, "--text", text_file, "--train", 3
    )
    found = [line.split("│")[-2] for line in shown.decode().splitlines() if "280" in line]
    assert code == 0 and "bits/byte" in shown.decode()
    assert len(found) == 2 and len(set(found)) == 1 and 0 < float(found[0]) < 8


@pytest.mark.parametrize("form", ["tinygpt", "huggingface", "tiktoken"])
def test_convert_keeps_the_ids(tinygpt, trained, tmp_path, form):
    out = tmp_path / "converted"
    assert tinygpt("tokenizer", "convert", trained, out, "--format", form)[0] == 0
    assert load(out).encode(TEXT) == load(trained).encode(TEXT)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "missing.txt"], "no file or folder 'missing.txt'"),
        (["train", "{text}", "--vocab-size", "100"], "a vocabulary of 100 is too small"),
        (["train", "{text}", "--out", "/proc/none/t.json"], "cannot write"),
        (["train", "{text}", "--pattern", "("], "not a regular expression"),
        (["encode", "{text}", "--text", "x"], "is not JSON"),
        (["encode", "{trained}", "--text", "<|nope|>\ud800"], "lone surrogate"),
        (["decode", "{trained}", "0", "999"], "the id 999 at position 1"),
        (["decode", "{trained}", "zero"], "'zero' is not an id"),
    ],
)
def test_mistakes_get_one_sentence(tinygpt, trained, text_file, arguments, message):
    filled = [a.format(text=text_file, trained=trained) for a in arguments]
    code, _, err = tinygpt("tokenizer", *filled)
    assert code != 0
    assert message in err and "Traceback" not in err and err.count("\n") <= 2


def test_an_empty_file_is_refused(tinygpt, tmp_path):
    (tmp_path / "empty.txt").touch()
    code, _, err = tinygpt("tokenizer", "train", tmp_path / "empty.txt")
    assert code == 1 and "no text to train" in err


def test_ids_that_could_not_all_be_written_leave_the_file_as_it_was(tmp_path):
    from tinygpt.cli.tokenizer import _write_ids
    from tinygpt.errors import UserError

    out = tmp_path / "ids"
    out.write_bytes(b"before")

    def parts():
        yield np.zeros(3, np.uint16)
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="cannot write .*No space left"):
        _write_ids(str(out), parts())
    assert out.read_bytes() == b"before" and len(list(tmp_path.iterdir())) == 1


def test_a_file_of_ids_that_ends_within_one_is_refused(tinygpt, trained, tmp_path):
    (tmp_path / "ids.bin").write_bytes(b"\1\0\2")
    code, _, said = tinygpt("tokenizer", "decode", trained, "--file", tmp_path / "ids.bin")
    assert code == 1 and "its last one is cut off" in said and "--debug" not in said


def test_a_folder_of_another_program_with_a_config_is_no_run(tinygpt, trained, tmp_path):
    folder = tmp_path / "foreign"
    folder.mkdir()
    (folder / "config.json").write_text('{"architectures": ["GPT2LMHeadModel"]}')
    (folder / "tokenizer.json").write_bytes(trained.read_bytes())
    code, shown, _ = tinygpt("tokenizer", "encode", folder, "--text", "the cat")
    assert code == 0 and shown == tinygpt("tokenizer", "encode", trained, "--text", "the cat")[1]
