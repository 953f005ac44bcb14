"""What a terminal can be given: visible characters, commands that run as printed."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tinygpt.machine import terminal
from tinygpt.machine.terminal import command, program, visible

NAMES = [
    "plain", "with space", "it's", '"quoted"', "$HOME `x` \\", "[red]", "a;b|c&d", "żółw", "-rf",
]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"), ("łódź 😀 👩‍🔬", "łódź 😀 👩‍🔬"), ("a\r\nb", "a\r\nb"),
        ("\x1b[2J\x07", r"\x1b[2J\x07"), ("a\rb", r"a\rb"), ("\x9b31m\x7f\0", r"\x9b31m\x7f\x00"),
        ("\u202egnp.exe", r"\u202egnp.exe"), ("\udcff", r"\xff"), ("\ud800", r"\ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_shown(text, shown):
    assert visible(text) == shown


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell reads it back")
@pytest.mark.parametrize("name", NAMES)
def test_a_shell_reads_a_command_as_it_was_meant(name, tmp_path, monkeypatch):
    echo = tmp_path / "echo args.py"
    echo.write_text("import sys; print(ascii(sys.argv[1:]))")
    monkeypatch.setattr(terminal, "program", lambda: [sys.executable, str(echo)])
    done = subprocess.run(
        command("train", Path(name)), shell=True, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ascii(["train", f"./{name}" if name == "-rf" else name])


def test_the_program_is_named_as_it_was_called(monkeypatch, tmp_path):
    module = Path(terminal.__file__).parents[1] / "__main__.py"
    monkeypatch.setattr(sys, "argv", [str(module), "train"])
    monkeypatch.setattr(sys, "orig_argv", ["my python", "-X", "utf8", "-m", "tinygpt", "train"])
    assert program() == ["my python", "-X", "utf8", "-m", "tinygpt"]
    assert shlex.split(command("doctor")) == [*program(), "doctor"]
    script = tmp_path / "tinygpt"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.chdir(tmp_path.parent)
    monkeypatch.setattr(sys, "argv", [f"{tmp_path.name}/tinygpt"])
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert program() == [f"{tmp_path.name}/tinygpt"]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program() == ["tinygpt"]
    monkeypatch.setattr(sys, "argv", ["a_notebook.py"])
    assert program() == ["tinygpt"]
    monkeypatch.setenv("PATH", "/nowhere")
    assert program() == [sys.executable, "-m", "tinygpt"]
