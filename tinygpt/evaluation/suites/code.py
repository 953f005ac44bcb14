"""The suite "code": functions of the standard library, to be gone on with, parsed and run.

A function whose docstring has examples (`>>> mean([1, 2, 3])`) says what it should do. The prompt
is its head, docstring and all but the last lines of its body; the model writes the rest. Then

    parses    with what is written, the function is Python
    passes    and its examples come out right, in a child process (child.py)

The right answer is known to pass, and a line that gives up to fail: what is not so is no item. So
whoever writes the library's own lines reaches 100 %, and whoever writes nothing 0.

Read first: ../written.py, child.py.
"""

from __future__ import annotations

import ast
import doctest
import importlib.util
import textwrap
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinygpt.evaluation.suites.child import looked_at, ran
from tinygpt.evaluation.suites.generated import identity
from tinygpt.evaluation.written import Task, WrittenSuite
from tinygpt.inference.sampling import GREEDY, Sampling

MODULES = (  # pure ones with examples, that import little
    "statistics", "textwrap", "heapq", "bisect", "difflib", "fractions", "colorsys", "keyword",
    "random", "string", "copy", "pprint", "html", "shlex", "functools", "collections", "types",
)
ALLOWED = {  # what a function that is written may import
    *MODULES, "math", "numbers", "decimal", "itertools", "operator", "re", "abc", "dataclasses",
    "typing", "_collections_abc",
}
SIZES = {"small": 6, "medium": 20, "large": 60}
GIVEN = 0.6  # of a body's lines
LONGEST = 40  # lines of a body
TOKENS = 120
SEVERAL = Sampling(temperature=0.8, top_p=0.95)  # for attempts that differ


class Function(NamedTuple):
    """A function with examples.  first, last: its lines in the module, from 1; body: its first."""

    module: str
    name: str
    first: int
    body: int
    last: int


def functions(module: str) -> Iterator[Function]:
    """Those of a module's top level that have examples and a body to be cut."""
    source = _source(module)
    if source is None:
        return
    for node in ast.parse(source).body:
        if not isinstance(node, ast.FunctionDef) or len(node.body) < 2:
            continue
        text = ast.get_docstring(node) or ""
        first, last = node.body[1].lineno, node.end_lineno or node.lineno
        if doctest.DocTestParser().get_examples(text) and 2 <= last - first + 1 <= LONGEST:
            yield Function(module, node.name, node.lineno, first, last)


def _source(module: str) -> str | None:
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin).read_text(encoding="utf-8")


class CodeSuite(WrittenSuite):
    """known: (function, lines that are given, the wanted rest).

    attempts: of each, drawn by chance if there are several; then pass@k is counted too.
    """

    def __init__(
        self, known: Sequence[tuple[Function, str, str]], attempts: int = 1, seed: int = 0
    ):
        self.functions = {f"{one.module}.{one.name}": one for one, _, _ in known}
        tasks = [
            Task(name if attempts == 1 else f"{name}, attempt {number + 1}", given, (rest,), name,
                 TOKENS, ("\ndef ", "\nclass ", "\n\n\n"))
            for number in range(attempts)
            for name, (_, given, rest) in zip(self.functions, known, strict=True)
        ]
        sampling = GREEDY if attempts == 1 else SEVERAL
        super().__init__("code", tasks, {}, identity(tasks), sampling=sampling, seed=seed)

    def line(self, task: Task, written: str) -> dict[str, Any]:
        function = self.functions[task.cluster]
        parses, why = judged(function, task.prompt, written)
        line = super().line(task, written)
        return {**line, "scores": {"passes": float(parses and not why), "parses": float(parses)},
                "why": why}


def judged(function: Function, given: str, written: str) -> tuple[bool, str]:
    """(does it parse, why it does not pass: "" if it does)."""
    text = _cut(given, written)
    if text is None:
        return False, "does not parse"
    why = looked_at(ast.parse(text), ALLOWED)
    return True, why or ran(_program(function, text))


def _cut(given: str, written: str) -> str | None:
    """The function up to where what is written parses; None where no line of it does."""
    lines = written.split("\n")
    for count in range(len(lines), 0, -1):
        text = given + "\n".join(lines[:count])
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            continue
        if len(tree.body) == 1 and "\n".join(lines[:count]).strip():
            return text
    return None


def _program(function: Function, text: str) -> str:
    """A program that runs the examples with `text` in the place of the function."""
    source = _source(function.module)
    assert source is not None
    return textwrap.dedent("""\
        import doctest, importlib, sys, types
        name, source, text, function = {values}
        module = types.ModuleType(name)
        module.__dict__["__name__"] = name
        exec(compile(source, name, "exec"), module.__dict__)
        exec(compile(text, "written", "exec"), module.__dict__)
        found = doctest.DocTestFinder(recurse=False).find(
            getattr(module, function), function, module=False, globs=dict(module.__dict__))
        runner = doctest.DocTestRunner(verbose=False)
        for test in found:
            runner.run(test, out=lambda said: None)
        wrong, tried = runner.summarize(verbose=False)[:2]
        sys.exit(f"{{wrong}} of {{tried}} examples come out wrong" if wrong or not tried else 0)
    """).format(values=repr((function.module, source, text, function.name)))


def items(count: int, seed: int, modules: Collection[str] = MODULES) -> Iterator[Any]:
    """(function, given, rest) of functions that pass as they stand, drawn with the seed."""
    rng = np.random.default_rng([seed, 0xC0DE])
    known = [one for module in modules for one in functions(module)]
    left = count
    for i in rng.permutation(len(known)):
        function = known[i]
        lines = (_source(function.module) or "").split("\n")[function.first - 1 : function.last]
        begun = function.body - function.first
        keep = begun + max(1, int(GIVEN * (len(lines) - begun)))
        given, rest = "\n".join(lines[:keep]) + "\n", "\n".join(lines[keep:])
        giving_up = rest[: len(rest) - len(rest.lstrip())] + "raise NotImplementedError\n"
        if (
            rest.strip() and judged(function, given, rest) == (True, "")
            and judged(function, given, giving_up)[1]
        ):
            yield function, given, rest
            left -= 1
            if not left:
                return


def code_suite(size: str = "medium", seed: int = 0, attempts: int = 1) -> CodeSuite:
    return CodeSuite(list(items(SIZES[size], seed)), attempts, seed)
