"""tinygpt/cli: exit codes, one-sentence errors, and a light --help."""

import os
import subprocess
import sys

import pytest

from tinygpt.cli import COMMANDS, main
from tinygpt.cli.training import with_data
from tinygpt.config import from_dict


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "tinygpt", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def test_help_names_every_command():
    shown = run("--help")
    assert shown.returncode == 0
    assert all(name in shown.stdout for name in COMMANDS)


def test_help_imports_neither_numpy_nor_numba():
    code = (
        "import sys; from tinygpt.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'numba', 'rich', 'regex'} & set(sys.modules); print(heavy or 'light')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "light"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name, capsys):
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) >= 4


def test_unknown_command_is_a_usage_error():
    done = run("trian")
    assert done.returncode == 2
    assert "trian" in done.stderr


def test_a_users_mistake_is_one_sentence_without_a_traceback():
    done = run("train", "S", "--set", "training.step=3")
    assert done.returncode == 2
    assert "Did you mean training.steps?" in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_shows_the_traceback():
    done = run("--debug", "train", "S", "--set", "training.step=3")
    assert "Traceback" in done.stderr


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "taken").write_text("")
    done = run("book", "--notebooks", str(tmp_path / "taken" / "here"))
    assert done.returncode == 1
    assert str(tmp_path / "taken") in done.stderr and "Choose another place" in done.stderr
    assert "Errno" not in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [
    ("finetune", "S", "--data", "no.jsonl"), ("feedback", "S", "--prompts", "no.txt"),
    ("align", "S", "--method", "dpo", "--data", "no.jsonl"), ("train", "S", "--data", "no.txt"),
])
def test_a_file_that_is_not_there_is_a_usage_error(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(*words)
    assert done.returncode == 2, done.stderr


@pytest.mark.parametrize(
    ("variable", "value", "advice"),
    [
        ("KERNELS_BACKEND", "fortran", "numpy, numba, c"),
        ("KERNELS_ISA", "neon2", "generic, avx2"),
        ("TINYGPT_THREADS", "many", "from 1 to"),
    ],
)
def test_what_the_environment_asks_for_in_vain_is_a_usage_error(variable, value, advice):
    done = run("doctor", "--quick", **{variable: value})
    assert done.returncode == 2
    assert value in done.stderr
    assert advice in done.stderr
    assert "--debug" not in done.stderr


def test_the_examples_of_a_help_run_as_they_stand():
    text = run("train", "--help").stdout
    program = text.split()[1:]
    assert "\n  " + " ".join(program[: program.index("train")]) + " train S --data my.txt" in text


def test_doctor_says_what_runs():
    done = run("doctor", "--quick", KERNELS_BACKEND="numpy")
    assert done.returncode == 0
    assert "asked for: numpy" in done.stdout


def test_data_is_a_corpus_by_name_or_a_path_made_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("stories", "python", "python+tests"):
        assert with_data(from_dict({}), name).data.source == name
    assert with_data(from_dict({}), "my.txt").data.source == str(tmp_path / "my.txt")


def test_quickstart_refuses_a_run_before_it_writes_anything(tmp_path):
    from rich.console import Console

    from tinygpt.errors import UserError
    from tinygpt.screens.quickstart import quickstart

    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="already holds a run"):
        quickstart(tmp_path, 0.01, Console(quiet=True))
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_a_terminal_that_lacks_a_character_gets_another(tmp_path):
    code = "import sys; from tinygpt.cli import main\nmain(['generate', 'nic-\u017c'])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False,
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
    )
    assert done.returncode == 2 and b"there is no nic-?" in done.stderr
