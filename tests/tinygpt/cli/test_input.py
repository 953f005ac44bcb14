"""What people hand to the commands: paths, pipes, encodings, short texts, odd prompts."""

import gzip
import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from tinygpt.cli import main
from tinygpt.config import from_dict
from tinygpt.data import open_dataset
from tinygpt.runs.run import Run
from tinygpt.training.begin import begin
from tinygpt.training.trainer import Trainer

LINE = "the cat sat on the mat. the dog sat on the log. "
TINY = ["model.n_layers=1", "model.n_heads=1", "model.d_model=8", "model.context=8",
        "training.steps=2", "training.sample_every=none", "training.eval_every=none"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def tinygpt(capfdbinary, monkeypatch):
    """Run a command line in this process: exit code, output, errors."""

    def run(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        return int(stop.value.code or 0), out.decode(), err.decode()

    return run


def settings(*more):
    return [part for one in (*TINY, *more) for part in ("--set", one)]


def write(name, text, encoding="utf-8"):
    with open(name, "wb") as file:
        file.write(text.encode(encoding))
    return name


def make_run(out, text, steps=2, **model):
    """A trained run of `text` kept in `out`, as S would be."""
    shape = {"n_layers": 1, "n_heads": 1, "d_model": 8, "context": 8, **model}
    config = from_dict({
        "model": shape, "data": {"source": write(f"{out}.txt", text), "by_position": True,
                                 "split": [0.9, 0.1, 0.0]},
        "training": {"steps": steps, "warmup_steps": 0, "sample_every": None},
    })
    Trainer(begin(config, out)).run()
    return out


# --- Paths ---------------------------------------------------------------------------------------


def test_pipes_and_standard_input_are_texts(tinygpt):
    text = (LINE * 9).encode()
    source, sink = os.pipe()
    os.write(sink, text)
    os.close(sink)
    asked = {"stdin": "-", "pipe": f"/dev/fd/{source}", "device": "/dev/stdin"}
    for out, data in asked.items():
        code, said, err = tinygpt(
            "train", "S", "--data", data, "--out", out, *settings(), stdin=text
        )
        assert code == 0, err
        assert "a model of characters: it reads and writes the 14 of this text" in said
        dataset = open_dataset(f"{out}/tokens")
        tokens = np.concatenate([dataset.train[:], dataset.validation[:]])
        assert dataset.tokenizer.decode(tokens) == text.decode()
    os.close(source)
    assert Run.open("stdin").config.data.source == "-"
    code, said, _ = tinygpt("train", "--out", "stdin", "--resume", stdin=b"not read")
    assert code == 0 and "changed" not in said


def test_the_tilde_is_expanded_wherever_it_stands(tinygpt, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    write("home/x.txt", LINE * 9)
    code, _, err = tinygpt("train", "S", "--data=~/x.txt", "--out=~/run", *settings())
    assert code == 0, err
    for command in (["generate", "~/run", "--max-tokens", 2], ["export", "~/run", "--csv=~/a.csv"],
                    ["quantize", "~/run", "--text=~/x.txt", "--out=~/q.tgpt"],
                    ["tokenizer", "encode", "~/run", "~/x.txt", "--out=~/ids"]):
        assert tinygpt(*command)[0] == 0
    assert {"run", "a.csv", "q.tgpt", "ids"} <= set(os.listdir("home")) and not os.path.exists("~")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "S", "--data", "gone.txt"], "no file or folder '"),
        (["train", "gone.toml"], "no configuration 'gone.toml'. Give a TOML file or one of: B, L"),
        (["train", "s"], "no configuration 's'. Did you mean S?"),
        (["train", "s.toml"], "Did you mean S?"),
        (["train", "fr.txt"], "is a text, not a configuration. To learn from it: "),
        (["train", "fr.txt"], "tinygpt train S --data fr.txt"),
        (["train", "my texts"], "tinygpt train S --data 'my texts'"),
        (["train", "stories"], "tinygpt train S --data stories"),
        (["train", "old"], "tinygpt train --out old --resume"),
        (["train", "S", "--data", ""], "'' is not a path"),
        (["train", "S", "--data", "/dev/zero"], "/dev/zero is a device"),
        (["train", "S", "--data", "circle"], "circle: Too many levels of symbolic links"),
        (["train", "S", "--data", "broken"], "broken is a link to gone, where nothing is"),
        (["train", "S", "--data", "fr.txt", "--data", "old"], "--data was given 2 times"),
        (["train", "S", "--data", "fr.txt", "--out", "fr.txt"], "fr.txt is a file, and fr.txt is "
                                                                "to be a folder"),
        (["train", "S", "--data", "fr.txt", "--out", "fr.txt/run"], "is to be a folder"),
        (["plan", "S", "--data", "fr.txt", "--out", "fr.txt/run"], "is to be a folder"),
        (["quickstart", "--out", "fr.txt"], "is to be a folder"),
        (["generate", "gone"], "there is no gone"),
        (["diagnose", "gone"], "gone is missing"),
        (["diagnose", "fr.txt"], "fr.txt is not a run folder"),
        (["quantize", "old", "--text", "my texts"], "my texts' is a directory"),
        (["tokenizer", "encode", "gone", "fr.txt"], "there is no tokenizer gone"),
        (["tokenizer", "compare", "gone", "--text", "gone"], "no file 'gone'"),
        (["tokenizer", "encode", "gone", "my texts"], "there is no tokenizer"),
        (["tokenizer", "train", "fr.txt", "--out", "old"], "'old' is a directory"),
    ],
)
def test_what_can_never_work_ends_with_2_and_makes_nothing(tinygpt, arguments, said):
    write("fr.txt", "Il était une fois\n" * 20)
    os.makedirs("my texts")
    os.makedirs("old")
    write("old/config.json", '{"training": {}}')
    os.symlink("circle", "circle")
    os.symlink("gone", "broken")
    before = sorted(os.walk("."))
    code, out, err = tinygpt(*arguments)
    assert code == 2 and said in err and "Traceback" not in err and not out
    assert sorted(os.walk(".")) == before


def test_a_configuration_may_have_a_mark_and_come_through_a_pipe(tinygpt):
    write("fr.txt", LINE * 9)
    toml = "".join(f"[{k.split('.')[0]}]\r\n{k.split('.')[1]} = {v}\r\n"
                   for k, v in [("training.steps", 3), ("model.d_model", 8)])
    write("bom.toml", toml, "utf-8-sig")
    write("wide.toml", toml, "utf-16")
    small = ["model.n_layers=1", "model.n_heads=1", "model.context=8", "training.eval_every=none"]
    small = [part for one in small for part in ("--set", one)]
    for config in ("bom.toml", "wide.toml", "-"):
        out = f"run of {config}"
        code, _, err = tinygpt(
            "train", config, "--data", "fr.txt", "--out", out, *small, stdin=toml.encode()
        )
        assert code == 0, err
        made = Run.open(out).config
        assert (made.training.steps, made.model.d_model) == (3, 8)


def test_names_that_are_not_utf8_are_read_and_printed(tinygpt):
    text, out = os.fsdecode(b"caf\xe9.txt"), os.fsdecode(b"run-\xe9")
    write(text, LINE * 9)
    code, _, err = tinygpt("train", "S", "--data", text, "--out", out, *settings())
    assert code == 0, err
    report = Path(out, "report.html").read_text(encoding="utf-8")
    assert r"caf\xe9.txt" in report and r"run-\xe9" in report
    assert tinygpt("diagnose", out)[0] == 0


def test_a_folder_says_what_it_left_out_before_it_trains(tinygpt):
    os.makedirs("texts/.git")
    write("texts/A.TXT", LINE * 9)
    write("texts/b.Md", LINE * 9)
    code, said, err = tinygpt("train", "S", "--data", "texts", "--out", "run", *settings())
    assert code == 0 and "hidden: .git" in said, err
    assert open_dataset("run/tokens").manifest["documents"]["train"] == 2
    code, _, err = tinygpt("tokenizer", "train", "texts", "--kind", "char", "--out", "t.json")
    assert code == 0 and "hidden: .git" in err


# --- Text for every command ----------------------------------------------------------------------


@pytest.fixture
def run_and_text(tinygpt):
    return make_run("run", LINE * 20 + "café\n" * 9), LINE + "café\nthe mat\n"


@pytest.mark.parametrize("form", ["utf-8", "utf-8-sig", "utf-16", "crlf"])
def test_a_text_is_the_same_text_in_every_form(tinygpt, run_and_text, form):
    run, text = run_and_text
    changed = text.replace("\n", "\r\n") if form == "crlf" else text
    data = changed.encode("utf-8" if form == "crlf" else form)
    with open("held.txt", "wb") as file:
        file.write(data)
    prompted = tinygpt("generate", run, "--prompt", "-", "--max-tokens", 3, stdin=data)[1]
    assert prompted.startswith(text)
    ids = tinygpt("tokenizer", "encode", run, "held.txt")[1].split()
    assert list(map(int, ids)) == Run.open(run).tokenizer.encode(text)
    assert f"measured on {len(text) - 1} held-out" in tinygpt("quantize", run, "--text",
                                                             "held.txt")[1]
    assert tinygpt("tokenizer", "compare", run, run, "--text", "-", stdin=data)[1].count(
        f" {len(text)} ") == 2
    talked = tinygpt("chat", run, "--max-tokens", 2, stdin=data)
    assert talked[0] == 0 and "not among" not in talked[1] and talked[1].count("> ") == 3


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (gzip.compress(b"the cat", mtime=0), "packed by gzip"),
        ("café".encode("latin-1"), "iconv -f ISO"),
        ("the cat".encode("utf-16-le"), "looks like UTF-16LE"), (bytes(99), "is binary"),
    ],
)
def test_what_is_no_text_is_refused_by_every_command(tinygpt, run_and_text, data, said):
    with open("odd.txt", "wb") as file:
        file.write(data)
    for command in (
        ["train", "S", "--data", "odd.txt", "--out", "new"],
        ["train", "S", "--data", "-", "--out", "new"],
        ["generate", "run", "--prompt", "-"], ["chat", "run"],
        ["quantize", "run", "--text", "odd.txt", "--out", "new.tgpt"],
        ["tokenizer", "train", "odd.txt"], ["tokenizer", "train", "-", "--kind", "char"],
        ["tokenizer", "encode", "run", "odd.txt"], ["tokenizer", "inspect", "run", "--text", "-"],
        ["tokenizer", "compare", "run", "--text", "odd.txt"],
    ):
        code, _, err = tinygpt(*command, stdin=data)
        assert code == 1 and said in err and "Traceback" not in err, command
    assert not {"new", "new.tgpt", "tokenizer.json", "run.tgpt"} & set(os.listdir("."))


def test_any_bytes_can_be_learned_when_asked_for(tinygpt):
    data = gzip.compress(bytes(range(256)) * 3)
    with open("odd.gz", "wb") as file:
        file.write(data)
    train = ["tokenizer", "train", "odd.gz", "--bytes", "--vocab-size", 262, "--out", "t.json"]
    assert tinygpt(*train)[0] == 0
    assert tinygpt("tokenizer", "encode", "t.json", "odd.gz", "--bytes", "--out", "ids")[0] == 0
    from tinygpt.tokenizer import load

    assert load("t.json").decode_bytes(np.fromfile("ids", np.uint16)) == data
    code, _, err = tinygpt(*train, "--kind", "char")
    assert code == 2 and "Drop --bytes" in err


def test_ids_cut_off_in_the_middle_are_refused(tinygpt, run_and_text):
    with open("ids", "wb") as file:
        file.write(b"\1\0\2")
    code, _, err = tinygpt("tokenizer", "decode", "run", "--file", "ids")
    assert code == 1 and "its last one is cut off" in err
    assert tinygpt("tokenizer", "decode", "run", stdin=b"\xef\xbb\xbf1 2")[0] == 0


# --- Prompts -------------------------------------------------------------------------------------


def test_a_model_of_one_line_writes_and_talks(tinygpt):
    make_run("run", LINE * 9)
    code, said, err = tinygpt("generate", "run", "--max-tokens", 4)
    assert code == 0 and len(said) == len(" ....\n"), err
    code, said, _ = tinygpt("chat", "run", "--max-tokens", 3, stdin=b"the\ncat\n")
    assert code == 0 and "not among" not in said
    stops = [part for letter in sorted(set(LINE)) for part in ("--stop", letter)]
    code, said, err = tinygpt("chat", "run", "--once", "the", *stops)
    assert (code, said.strip()) == (0, "") and "ended without a word" in err
    for command in (["generate", "run", "--max-tokens", 4], ["chat", "run", "--once", "the"]):
        assert tinygpt(*command, "--kv", "int8")[0] == 0
        assert tinygpt(*command, "--kv", "int4")[0] == 2


@pytest.mark.parametrize(
    ("command", "said", "code"),
    [
        (["--prompt", "Thé “cat”"], "the characters 'T', 'é', '“', '”', from position 0 on, are "
         "not among the 14 that this tokenizer was trained on. Write 't' for 'T', 'e' for 'é'. "
         "Leave out '“', '”'. Or", 1),
        (["--prompt", "the Cat"], "'C' at position 4 is not among the 14", 1),
        (["--prompt", ""], "the prompt is empty", 2),
        (["--stop", ""], "the stop text '' stands before every answer", 2),
        (["--seed", "-1"], "-1 is not in the range", 2),
    ],
)
def test_a_prompt_that_cannot_be_is_answered_with_what_can(tinygpt, command, said, code):
    make_run("run", LINE * 9)
    got, out, err = tinygpt("generate", "run", *command)
    assert got == code and said in err and not out


def test_chat_marks_no_roles_that_nobody_trained(tinygpt):
    run = make_run("run", LINE * 9)
    assert tinygpt("quantize", run, "--out", "run.tgpt")[0] == 0
    for model in ("run", "run.tgpt"):
        code, _, err = tinygpt("chat", model, "--roles")
        assert code == 2 and "was never taught who speaks" in err
    assert tinygpt("chat", "run", "--stop", "")[0] == 2


# --- Next to no text -----------------------------------------------------------------------------


SHORT = {
    "200 characters": ((LINE * 5)[:200], {"context": 16}),
    "held-out text shorter than a window": ((LINE * 5)[:200], {"context": 64}),
    "a context of two": (LINE * 5, {"context": 2}),
    "a context of one": (LINE * 5, {"context": 1}),
    "one symbol": ("a" * 200, {}),
    "nothing held out": ("abc", {"context": 1}),
}


@pytest.mark.parametrize(("text", "model"), SHORT.values(), ids=SHORT)
def test_every_command_works_on_next_to_no_text(tinygpt, text, model):
    make_run("run", text, **model)
    for command in (["diagnose", "run"], ["generate", "run", "--max-tokens", 3],
                    ["quantize", "run", "--out", "q.tgpt"], ["generate", "q.tgpt"],
                    ["export", "run"]):
        code, out, err = tinygpt(*command)
        assert code == 0 and "nan" not in out, (command, out, err)
    if len(text) == 3:
        assert "too little to measure" in tinygpt("diagnose", "run")[1]
        assert "1 held-out tokens" in tinygpt("quantize", "run")[1]
        code, _, err = tinygpt("quantize", "run", "--sweep")
        assert code == 1 and "too little text to measure" in err


@pytest.mark.parametrize("text", ["", "t"])
def test_a_text_of_nothing_to_measure_on_leaves_the_file(tinygpt, text):
    make_run("run", LINE * 9)
    code, out, _ = tinygpt("quantize", "run", "--text", write("t.txt", text), "--out", "q.tgpt")
    assert code == 0 and f"{len(text)} held-out tokens" in out and "wrote q.tgpt" in out
    assert tinygpt("generate", "q.tgpt", "--max-tokens", 1)[0] == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"), ("a", "has 0 tokens, too few for a context of 8 (it takes 9). Give more"),
        ("abcdefgh", "7 tokens, too few for a context of 8 (it takes 9). Give more text, or set "
                     "model.context = 6 or less"),
    ],
)
def test_too_little_to_train_on_is_said_with_the_numbers(tinygpt, text, said):
    code, _, err = tinygpt("train", "S", "--data", write("t.txt", text), *settings())
    assert code == 1 and said in err


def test_diagnose_names_a_command_that_runs(tinygpt):
    make_run("my run", LINE * 20)
    said = tinygpt("diagnose", "my run")[1]
    assert "tinygpt train --out 'my run' --resume --set training.steps=" in said
    assert tinygpt("train", "--out", "my run", "--resume", "--set", "training.steps=3")[0] == 0


def test_a_sample_without_a_prompt_begins_as_the_text_does(tinygpt):
    write("t.txt", LINE * 9)
    asked = ["training.sample_prompt=", "training.sample_every=1"]
    code, said, err = tinygpt("train", "S", "--data", "t.txt", "--out", "run", *settings(*asked))
    assert code == 0 and "the model writes:" in said, err
