"""ruff and mypy are clean: the house rules that a program can check."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = (".py", ".c", ".h", ".md")
# A module, a file made for a moment, a field of a struct, one to come, layers of GPT-2.
NOT_FILES = ("kernels.c", "probe.c", "p.c", "transformer.h", "vpdpbusd.h", "rule.py")
NAMED = re.compile(r"(?<![\w/.*{<}])(?:\.\./)*([\w/]+\.(?:py|c|h))\b")


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


def test_every_file_that_the_prose_names_exists():
    tops = ("kernels", "minigrad", "tinygpt", "bench", "docs", "tests")
    paths = [p for top in tops for p in (ROOT / top).rglob("*") if p.suffix in SOURCES]
    exempt = [ROOT / "bench/LOG.md", ROOT / "kernels/c/__init__.py"]  # old names; an example's
    known = ["/" + path.relative_to(ROOT).as_posix() for path in [*paths, ROOT / "setup.py"]]
    for path in paths:
        if path in exempt or path.is_relative_to(ROOT / "tests"):
            continue
        for named in NAMED.findall(path.read_text(encoding="utf-8")):
            found = any(name.endswith("/" + named) for name in known)
            assert found or named in NOT_FILES, f"{path.relative_to(ROOT)} names {named}"
