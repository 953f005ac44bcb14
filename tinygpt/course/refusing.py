"""Files that are not graded: they call what they should write."""

from __future__ import annotations

import ast

from tinygpt.course.cut import imported
from tinygpt.course.exercise import Exercise

# Ways to get at any module, which no exercise needs.
DOORS = ("importlib", "__import__", "exec", "eval", "inspect", "runpy", "sys.modules", "globals")


def refused(text: str, exercise: Exercise, allowed: set[tuple[str, str]]) -> str:
    """Why a file is not graded, "" if it is.

    allowed: (module, name) that it may import of the house.  Raises SyntaxError.
    """
    for module, name in sorted(imported(text) - allowed):
        what = f"{name} from {module}" if name else module
        return (
            f"It imports {what}. Of this house, only what the file came with is yours here: the "
            "rest would do the work for you."
        )
    word = _forbidden(text, exercise.forbids)
    if word:
        return f"It says {word}, and that is what you are to write yourself. Do it without."
    return ""


def _forbidden(text: str, forbids: tuple[str, ...]) -> str:
    """The first name in a file that it may not use; forbids: names, their last part, or "@"."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Name | ast.Attribute):
            word = ast.unparse(node)
            if word in DOORS or word.rpartition(".")[2] in forbids:
                return word
        if isinstance(node, ast.MatMult) and "@" in forbids:
            return "@"
    return ""
