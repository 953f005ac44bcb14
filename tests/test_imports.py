"""Imports run one way: kernels <- minigrad <- tinygpt."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {"kernels": set(), "minigrad": {"kernels"}, "tinygpt": {"minigrad"}}


def imported(path: Path) -> set[str]:
    """Top-level names of every import in a file, also those inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_those_below_it(package):
    house = {*MAY_IMPORT, "bench", "tests"}
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        wrong = (imported(path) & house) - MAY_IMPORT[package] - {package}
        assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}"


def test_the_reader_of_imports_sees_one_inside_a_function(tmp_path):
    path = tmp_path / "x.py"
    path.write_text("def f():\n    from kernels.c import library\n    import minigrad.nn\n")
    assert imported(path) == {"kernels", "minigrad"}
