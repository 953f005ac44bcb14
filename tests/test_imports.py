"""Imports run one way: kernels <- minigrad <- tinygpt, and room by room inside tinygpt."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {"kernels": set(), "minigrad": {"kernels"}, "tinygpt": {"minigrad"}}

# The rooms of tinygpt, from the ground up: each may import itself and those before it.
ROOMS = (
    "errors", "machine", "storage", "text", "curation", "config", "tokenizer", "data", "model",
    "adapters", "book", "runs", "exchange", "weights", "inference", "inspection", "training",
    "distributed", "pretraining", "finetuning", "alignment", "seq2seq", "compression", "planning",
    "diagnosis",
    "course", "screens", "evaluation", "structured", "serving", "feedback", "library", "cli",
    "__main__",
)
# Tensor's methods are operations, and operations return Tensors.
TENSOR_AND_OPERATIONS = ("minigrad.tensor", "minigrad.ops")


def statements(tree: ast.AST):
    """Every import in a file, also those inside functions, but for type checkers' eyes only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        yield from statements(node)


def imported(path: Path) -> set[str]:
    """Dotted names of what a file imports: modules, or names in them."""
    names = set()
    for node in statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif node.level:
            package = path.relative_to(ROOT).parts[: -node.level]
            prefix = ".".join([*package, *([node.module] if node.module else [])])
            names.update(f"{prefix}.{alias.name}" for alias in node.names)
        else:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def graph(packages=MAY_IMPORT) -> dict[str, set[str]]:
    """Module -> modules of the house that it imports."""
    files = {}
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            files[".".join(parts).removesuffix(".__init__")] = path
    found = {}
    for module, path in files.items():
        names = imported(path)
        targets = {name if name in files else name.rpartition(".")[0] for name in names}
        found[module] = (targets & set(files)) - {module}
    return found


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Sets of modules that all reach each other, found by Tarjan's walk."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in edges[node]:
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            at = stack.index(node)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for node in edges:
        if node not in index:
            visit(node)
    return found


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_those_below_it(package):
    house = {*MAY_IMPORT, "bench", "tests"}
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        tops = {name.split(".")[0] for name in imported(path)}
        wrong = (tops & house) - MAY_IMPORT[package] - {package}
        assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}"


def test_a_room_of_tinygpt_imports_only_rooms_before_it():
    for module, targets in graph(["tinygpt"]).items():
        room = module.split(".")[1] if "." in module else "library"
        for target in targets - {"tinygpt"}:
            other = target.split(".")[1]
            assert ROOMS.index(other) <= ROOMS.index(room), f"{module} imports {target}"


def test_no_files_import_each_other_but_tensor_and_its_operations():
    for circle in circles(graph()):
        assert all(name.startswith(TENSOR_AND_OPERATIONS) for name in circle), circle


def test_every_room_has_its_name_and_place():
    there = {p.stem for p in (ROOT / "tinygpt").iterdir() if p.suffix == ".py" or p.is_dir()}
    assert there - {"__init__", "__pycache__", "configs"} == set(ROOMS)


def test_the_reader_of_imports_sees_one_inside_a_function_and_circles():
    assert "minigrad.nn" in {n.rpartition(".")[0] for n in imported(Path(__file__).parents[1] /
                             "tinygpt/inference/decoder.py")}
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
