"""Cutting a function out of its file: what the learner begins with, what `show` shows, and edits.

    text_of("kernels.numpy_ref.softmax", "softmax_forward")    the function's source
    stub(exercise)                                             the learner's file
    edited(text, mistake)                                      the source of a mutant

The signature, the docstring, the lines that check arguments and the comments (a derivation stands
in them) stay; the rest of the body goes. What the rest needs of the house is imported, and said how
it is called. Files are found without importing them.

Read next: route.py.
"""

from __future__ import annotations

import ast
import importlib.util
import io
import re
import textwrap
import tokenize
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from tinygpt.course.exercise import Exercise, Mistake

PACKAGES = ("kernels", "minigrad", "tinygpt")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@lru_cache
def path_of(module: str) -> Path:
    """The file of a module of the house, or of its C, "kernels/c/softmax.c"."""
    top, *rest = module.split("/" if "/" in module else ".")
    spec = importlib.util.find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        raise LookupError(f"{module}: no package {top}")
    path = Path(spec.submodule_search_locations[0]).joinpath(*rest)
    if path.suffix in (".c", ".h"):
        return path
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@lru_cache
def file_text(module: str) -> str:
    return path_of(module).read_text(encoding="utf-8")


@lru_cache
def tree_of(module: str) -> ast.Module:
    """Its parsed text; nobody changes it."""
    return ast.parse(file_text(module))


def _node(tree: ast.Module, function: str) -> Function:
    """The definition of "f" or "Class.method".  Raises LookupError."""
    body: list[ast.stmt] = tree.body
    *classes, name = function.split(".")
    for one in classes:
        body = next((n.body for n in body if isinstance(n, ast.ClassDef) and n.name == one), [])
    for node in body:
        if isinstance(node, Function) and node.name == name:
            return node
    raise LookupError(f"there is no {function} any more")


def text_of(module: str, function: str) -> str:
    """The source of a function, a method's moved to the left edge."""
    text = file_text(module)
    if module.endswith((".c", ".h")):
        start, _, end = c_places(text, function)
        return text[start:end]
    node = _node(tree_of(module), function)
    lines = text.splitlines(keepends=True)[node.lineno - 1 : node.end_lineno]
    return textwrap.dedent("".join(lines))


def edited(text: str, mistake: Mistake) -> str:
    """The text with a mistake in it.

    Raises LookupError if an edit has no place, or several: the code has changed, mend the edit.
    """
    for old, new in mistake.edits:
        if text.count(old) != 1:
            raise LookupError(f"{mistake.name}: {old!r} stands there {text.count(old)} times")
        text = text.replace(old, new)
    return text


def stub(exercise: Exercise) -> str:
    """The learner's file of a function that is to be written."""
    if exercise.in_c:
        return _c_stub(exercise)
    tree = tree_of(exercise.module)
    node = _node(tree, exercise.function)
    source = text_of(exercise.module, exercise.function)
    imports = "\n".join(_imports(tree, node, exercise.module))
    helpers = _helpers(imports)
    imports = imports.replace("annotations\n", "annotations\n\n", 1)
    head = f'"""{heading(exercise)}"""\n\n'
    return f"{head}{imports}\n{helpers}\n\n{_without_body(source)}\n"


def heading(exercise: Exercise) -> str:
    """What stands at the top of a learner's file."""
    what = {
        "write": f"Write the body of {exercise.short}. It is the real one: while your file is "
        f"checked, all that calls {exercise.target} in this house gets yours.",
        "faster": f"Write {exercise.short} so that it is at least {exercise.goal:g} times as fast "
        f"as {exercise.target}, measured here and now, and gives the same.",
        "hunt": f"{exercise.target} is right. Write a test that notices when it is not: it is run "
        "on the right one, on others that are right too, and on mistakes.",
        "predict": "Say it before you run it: put your answers in place of the dots.",
    }[exercise.kind]
    lines = [
        f"{exercise.title}.", "",
        *textwrap.wrap(what, 96, break_on_hyphens=False), "",
        *([*textwrap.wrap(exercise.about, 96, break_on_hyphens=False), ""] * bool(exercise.about)),
        f"    tinygpt learn check {exercise.name}", f"    tinygpt learn hint {exercise.name}", "",
        f"About {exercise.minutes} minutes.  To read: docs/{exercise.chapter}",
    ]
    return "\n".join(lines) + "\n"


def _without_body(source: str) -> str:
    """A function with its docstring, argument checks and comments, and nothing else."""
    lines, end = source.splitlines(), given(source)
    comments = [
        f"    {text}" if text else "" for number, text in _comments(source) if number > end
    ]
    return "\n".join([*lines[:end], *comments, '    raise NotImplementedError("write this")'])


def given(source: str) -> int:
    """How many lines of a function stay in a stub: signature, docstring, argument checks."""
    node = ast.parse(source).body[0]
    assert isinstance(node, Function)
    documented = ast.get_docstring(node) is not None
    kept = node.body[: 1 if documented else 0]
    rest = node.body[len(kept) :]
    checks = [i for i, statement in enumerate(rest) if _checks_arguments(statement)]
    kept += rest[: checks[-1] + 1] if checks else []
    end = kept[-1].end_lineno if kept else node.body[0].lineno - 1
    assert end is not None
    return end


def _checks_arguments(statement: ast.stmt) -> bool:
    calls = [n.func for n in ast.walk(statement) if isinstance(n, ast.Call)]
    checking = ("contracts", "checks", "check_gradients")
    return any(ast.unparse(f).partition(".")[0] in checking for f in calls)


def _comments(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of comments that have a line of their own, a line's further indent kept."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and token.line.lstrip().startswith("#"):
            yield token.start[0], token.string


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _imports(tree: ast.Module, node: Function, module: str) -> list[str]:
    """Lines that make the module's names, as far as the function uses them, known in a file."""
    used, lines, own = _names(node), [], []
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom | ast.Import):
            names = [
                a for a in statement.names
                if (a.asname or a.name).partition(".")[0] in used or a.name == "annotations"
            ]
            if names:
                kept = type(statement)(**{**vars(statement), "names": names})
                lines.append(ast.unparse(kept))
        else:
            own += [name for name in _bound(statement) if name in used and name != node.name]
    if own:
        lines.append(f"from {module} import {', '.join(dict.fromkeys(own))}")
    return lines


def _helpers(imports: str) -> str:
    """A comment on what a stub imports of the house: how each is called, and what it is."""
    told = []
    for module, name in sorted(imported(imports)):
        try:
            body = tree_of(module).body
        except (LookupError, OSError):
            continue
        for node in body:
            if getattr(node, "name", "") == name and (how := _call(node)):
                line = f"{how}: {_first_sentence(node)}".removesuffix(": ")
                told += textwrap.wrap(line, 94, initial_indent="#   ",
                                      subsequent_indent="#       ")
    return "\n".join(["", "# At hand:", *told, ""]) if told else ""


def _call(node: ast.stmt) -> str:
    """"f(a, b=1)", of a class what makes one of it; "" for what is not called."""
    if isinstance(node, ast.ClassDef):
        for made in node.body:
            if isinstance(made, Function) and made.name == "__init__":
                return node.name + _call(made).removeprefix("__init__").replace("self, ", "", 1)
        fields = [n.target.id for n in node.body
                  if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)]
        return f"{node.name}({', '.join(fields)})"
    if not isinstance(node, Function):
        return ""
    plain = ast.parse(ast.unparse(node.args).join(("def f(", "): ...")))
    for argument in ast.walk(plain):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    bare = plain.body[0]
    assert isinstance(bare, Function)
    return f"{node.name}({ast.unparse(bare.args)})"


def _first_sentence(node: ast.stmt) -> str:
    assert isinstance(node, Function | ast.ClassDef)
    text = " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())
    return re.split(r"(?<=\.) ", text)[0]


def _bound(statement: ast.stmt) -> list[str]:
    """Names that a statement of a module makes."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    elif isinstance(statement, ast.If):
        return [name for inner in statement.body for name in _bound(inner)]
    return [name for target in targets for name in sorted(_names(target))]


def imported(text: str) -> set[tuple[str, str]]:
    """(module, name) of what a file imports from the house."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {(a.name, "") for a in node.names if a.name.split(".")[0] in PACKAGES}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES:
            found |= {(node.module or "", a.name) for a in node.names}
    return found


def c_places(text: str, function: str) -> tuple[int, int, int]:
    """Where a function of a C file begins, where its body does, and where it ends.

    Raises LookupError.
    """
    for found in re.finditer(rf"^(?:[\w]+[ *]+)+{function}\(", text, re.MULTILINE):
        opens = text.index(")", found.end()) + 1
        brace = re.compile(r"\s*\{").match(text, opens)
        if brace is None:
            continue  # a declaration
        depth, at = 1, brace.end()
        while depth:
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        return found.start(), brace.end(), at
    raise LookupError(f"there is no {function} any more")


def _c_stub(exercise: Exercise) -> str:
    text = file_text(exercise.module)
    start, body, end = c_places(text, exercise.function)
    above = text[:start].rstrip()
    comment = above[above.rindex("/*") :] if above.endswith("*/") else ""
    head = "\n".join(f" * {line}".rstrip() for line in heading(exercise).splitlines())
    includes = "".join(f"{line}\n" for line in text.splitlines() if line.startswith("#include"))
    function = f"{text[start:body]}\n    /* write this */\n}}"
    if exercise.kind == "faster":  # one begins with what is slow
        function = text[start:end]
    return f"/*\n{head}\n */\n{includes}\n{comment}\n{function}\n".replace("\n\n\n", "\n\n")
