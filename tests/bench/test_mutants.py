"""Mutants: which changes are made, and that tests which look kill them."""

import sys

import pytest

from bench.mutants import runner
from bench.mutants.operators import mutants

SOURCE = '''
"""A docstring of 3 words."""
def clamp(x: int = 1, low=0) -> int:
    """Another with 7."""
    if x < low:
        raise ValueError(f"{x + 1} is below")
    total = [*zip([x], [low], strict=True)]
    total.append(-1)
    return x if total else None
'''


def changes(source):
    return [f"{m.before} -> {m.after}" for m in mutants(source)]


def test_mutants_are_one_change_each_where_code_runs():
    assert changes(SOURCE) == [
        "def clamp(x: int = 1, low=0) -> int: -> def clamp(x: int = 2, low=0) -> int:",
        "def clamp(x: int = 1, low=0) -> int: -> def clamp(x: int = 1, low=1) -> int:",
        "if x < low: -> if (x <= low):",
        "if x < low: -> if (x >= low):",
        'raise ValueError(f"{x + 1} is below") -> pass',
        "total.append(-1) -> pass",
        "total.append(-1) -> total.append(-2)",
        "return x if total else None -> return None",
        "return x if total else None -> return x if (not total) else None",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="needs fork and /proc")
def test_a_test_that_looks_kills_and_one_that_does_not_lets_live(tmp_path, monkeypatch):
    package = tmp_path / "kernels"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "half.py").write_text("def half(x):\n    return x // 2\n")
    looks = "from kernels.half import half\ndef test_half():\n    assert half(9) == 4\n"
    (tmp_path / "test_looks.py").write_text(looks)
    (tmp_path / "test_blind.py").write_text(looks.replace(" == 4", " or True"))
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    monkeypatch.setattr(runner, "COPIED", ("kernels",))
    monkeypatch.setattr(runner, "LOOSE", ("test_looks.py", "test_blind.py"))
    chosen = runner.select("kernels/half.py", None, 0)
    with runner.Copy() as copy:
        sharp = runner.score_file(copy, "kernels/half.py", ["test_looks.py"], {}, chosen)
        blind = runner.score_file(copy, "kernels/half.py", ["test_blind.py"], {}, chosen)
    assert (sharp.killed, len(sharp.survivors), sharp.share) == (3, 0, 1.0)
    assert len(blind.survivors) == 3


def test_the_lines_that_people_get_wrong_are_there_to_be_spoiled():
    chosen = runner.planted()
    assert len(chosen) > 12
    for one in chosen:
        compile(one.text(), one.file, "exec")
        assert all((runner.ROOT / test).exists() for test in one.tests if test.startswith("tests/"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs fork and /proc")
def test_what_people_get_wrong_is_seen():
    assert runner.plant(runner.planted()) == []
