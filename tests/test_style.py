"""ruff and mypy are clean: the house rules that a program can check."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("command", [["ruff", "check", "."], ["mypy"]], ids=["ruff", "mypy"])
def test_the_checker_has_nothing_to_say(command):
    pytest.importorskip(command[0])
    command = [sys.executable, "-m", *command]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_test_leaves_the_profile_of_fixed_draws():
    """tests/conftest.py alone says whether hypothesis draws at random."""
    words = ("derandomize=", "database=", "settings.load_profile")
    keeping = {ROOT / "tests" / "conftest.py", Path(__file__)}
    for path in set((ROOT / "tests").rglob("*.py")) - keeping:
        text = path.read_text(encoding="utf-8")
        assert not [word for word in words if word in text], path
