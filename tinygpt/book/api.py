"""The public names of the packages with their docstrings, read from the source and not imported.

Read next: site.py.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from html import escape
from pathlib import Path

from tinygpt.book.pages import ROOT

PACKAGES = ("kernels/numpy_ref", "minigrad", "tinygpt")  # and the packages in them
Function = ast.FunctionDef


def modules() -> list[str]:
    """Files of Python, as paths from ROOT."""
    found = (path.relative_to(ROOT) for top in PACKAGES for path in (ROOT / top).rglob("*.py"))
    return sorted(path.as_posix() for path in found)


def packages() -> list[str]:
    """Folders with modules, as paths from ROOT, each a page."""
    return sorted({name.rpartition("/")[0] for name in modules()})


def dotted(path: str) -> str:
    """"minigrad/ops" -> "minigrad.ops"."""
    return path.replace("/", ".")


def inside(package: str, source_of: dict[str, str]) -> str:
    """The HTML of a package's page.  source_of: file -> link to its source."""
    parts = [f"<h1>{dotted(package)}</h1>\n"]
    for path in sorted((ROOT / package).glob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        heading = package if path.stem == "__init__" else name.removesuffix(".py")
        parts.append(f'<h2 id="{path.stem}">{dotted(heading)}</h2>\n')
        parts.append(f'<p><a href="{source_of[name]}">{name}</a></p>\n{_said(tree)}')
        parts.extend(_public(tree, path))
    return "".join(parts)


def _public(tree: ast.Module, path: Path) -> Iterator[str]:
    """Functions and classes whose names begin with no underscore, with their docstrings."""
    for node in tree.body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield f'<h3 id="{path.stem}.{node.name}"><code>{_signature(node)}</code></h3>\n'
            yield _said(node)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for method in node.body:
                if not isinstance(method, Function) or method.name.startswith("_"):
                    continue
                if ast.get_docstring(method):
                    yield f"<h4><code>{_signature(method)}</code></h4>\n{_said(method)}"


def _said(node: ast.Module | ast.ClassDef | Function) -> str:
    text = ast.get_docstring(node)
    return f'<p class="said">{escape(text)}</p>\n' if text else ""


def _signature(node: ast.AST) -> str:
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(map(ast.unparse, node.bases))
        return escape(f"class {node.name}({bases})" if bases else f"class {node.name}")
    assert isinstance(node, Function)
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return escape(f"{node.name}({ast.unparse(node.args)}){returns}")
