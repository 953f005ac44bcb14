"""All single changes of a Python file that a test should notice.

A mutant replaces one stretch of the text, so that a survivor can be shown as the line it was and
the line it became. Left alone are: annotations, docstrings, decorators, imports, texts (a message's
wording is no behaviour) and what only a type checker runs.

Source: DeMillo, Lipton and Sayward 1978; the choice of operators follows Offutt et al. 1996, whose
five sufficient ones are here with statement deletion added.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

BOUNDARY: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
}
NEGATED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitOr, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
    ast.MatMult: ast.Mult,
}
SWAPPED_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True)
class Mutant:
    """One changed file.

    line: number of the first changed line, from 1.  before, after: that line.  text: the file.
    """

    line: int
    before: str
    after: str
    text: str


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a file, in the order of its lines."""
    lines = source.encode().splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    data = source.encode()
    found = []
    for node, replacement in _changes(ast.parse(source)):
        begin = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        found.append((begin, end, replacement))
    for begin, end, replacement in sorted(found):
        text = (data[:begin] + replacement.encode() + data[end:]).decode()
        line = data.count(b"\n", 0, begin)
        before, after = source.splitlines()[line], text.splitlines()[line]
        yield Mutant(line + 1, before.strip(), after.strip(), text)


def _changes(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """(node, what stands in its place)."""
    for node in _code(tree):
        test = getattr(node, "test", None)
        if isinstance(test, (ast.Name, ast.Attribute, ast.Call)):
            yield test, f"(not {ast.unparse(test)})"
        if isinstance(node, ast.expr):
            for changed in _expressions(node):
                text = ast.unparse(changed)
                yield node, text if isinstance(changed, ast.Constant) else f"({text})"
        elif isinstance(node, ast.stmt):
            for text in _statements(node):
                yield node, text


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """`node` and what is in it, less what no test should have to notice."""
    yield node
    if isinstance(node, ast.Raise):
        return  # whether it raises, not what it says
    if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant):
        return  # -1 becomes -2, and that is enough
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns", "decorator_list"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and not _passive(child):
                    yield from _code(child)


def _passive(node: ast.AST) -> bool:
    """Imports, formatted texts, what only a type checker runs, and strict=True: it guards us."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    if isinstance(node, ast.keyword) and node.arg == "strict":
        return True
    return isinstance(node, (ast.Import, ast.ImportFrom, ast.JoinedStr))


def _expressions(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.Compare):
        for i, operator in enumerate(node.ops):
            for table in (BOUNDARY, NEGATED):
                if type(operator) in table:
                    changed = copy.deepcopy(node)
                    changed.ops[i] = table[type(operator)]()
                    yield changed
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        yield ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield ast.BoolOp(other, node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        number = getattr(node.operand, "value", None)
        if type(number) in (int, float):  # another axis, another end
            yield ast.Constant(-(number + 1))
        else:
            yield node.operand
    elif isinstance(node, ast.Constant) and type(node.value) is bool:
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield ast.Constant(node.value + 1)
    elif isinstance(node, ast.Call):
        function = node.func
        if isinstance(function, ast.Name) and function.id in SWAPPED_CALLS:
            yield ast.Call(ast.Name(SWAPPED_CALLS[function.id]), node.args, node.keywords)
        elif isinstance(function, ast.Attribute) and function.attr == "copy" and not node.args:
            yield function.value  # written through to whoever lent it


def _statements(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.Expr) and not isinstance(node.value, (ast.Constant, ast.Yield)):
        yield "pass"
    elif isinstance(node, ast.Raise):
        if "NotImplementedError" not in ast.unparse(node):
            yield "pass"
    elif isinstance(node, (ast.AugAssign, ast.Continue, ast.Delete)):
        yield "pass"
    elif isinstance(node, ast.Break):
        yield "continue"
    elif isinstance(node, ast.Return) and node.value is not None:
        if not (isinstance(node.value, ast.Constant) and node.value.value is None):
            yield "return None"
