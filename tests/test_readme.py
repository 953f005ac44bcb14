"""The README is true: its test command is what CI runs, and its commands exist."""

import re
from pathlib import Path

import pytest

from tinygpt.cli import COMMANDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def shell_lines(text):
    blocks = re.findall(r"```(?:sh|bash|console)\n(.*?)```", text, flags=re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


def test_ci_runs_exactly_the_readmes_test_command():
    lines = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    first = next(line for line in lines if "pytest" in line and not line.startswith("#"))
    assert first in shell_lines(README)


def test_the_first_two_commands_install_and_run():
    first, second = shell_lines(README)[:2]
    assert "pip install" in first and first.endswith("tinygpt quickstart")
    assert "pip install" in second and "pytest" in second


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_every_link_into_the_tree_leads_somewhere(path):
    assert (ROOT / path).exists()


def test_every_subcommand_named_exists():
    named = set(re.findall(r"(?<![\w/])tinygpt ([a-z]+)", "\n".join(shell_lines(README))))
    assert named <= set(COMMANDS)


def test_the_lines_of_python_run(tmp_path, monkeypatch):
    (block,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    text = "It was a text that the quick brown fox has never seen. "
    (tmp_path / "my.txt").write_text(text * 100)
    recipe = ["steps=5", "sample_every=none"]
    small = [f'"training.{setting}"' for setting in recipe]
    line = '["data.source=my.txt"]'
    assert line in block
    exec(block.replace(line, f'["data.source=my.txt", {", ".join(small)}]'), {})
    assert (tmp_path / "my-run/report.html").exists()
