"""What a call comes to, how two of them differ, and a call as a line that can be pasted.

An outcome is what is returned (or which exception is raised) and what the arguments are afterwards:
a function that writes into its arguments is judged by that, and one that must not is found out.
"""

from __future__ import annotations

import copy
import re
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

CLOSE32 = 1e-4  # relative to the largest number; float32 sums may be made in any order
SHOWN = 56  # characters of a value


@dataclass(frozen=True)
class Outcome:
    """value: what was returned.  after: the arguments then.  error: what was raised."""

    value: Any = None
    after: Any = None
    error: Exception | None = None


def outcome(run: Callable[..., Any], f: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    """run(f, *arguments), on copies."""
    arguments = copy.deepcopy(arguments)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return Outcome(run(f, *arguments), arguments)
        except Exception as error:
            return Outcome(error=error)


class Difference(NamedTuple):
    """kind: "raises", "form" (shape, dtype, type) or "values".  says: how, in a few words."""

    kind: str
    says: str
    got: str = ""
    right: str = ""


def difference(got: Outcome, right: Outcome, closeness: float) -> Difference | None:
    """How an outcome differs from the right one, None if it does not."""
    if got.error is not None and right.error is None:
        return Difference("raises", describe(got.error))
    if right.error is not None:
        wanted = type(right.error)
        if isinstance(got.error, wanted):
            return None
        there = "nothing is raised" if got.error is None else describe(got.error)
        return Difference("values", f"{wanted.__name__} should be raised here; {there}",
                          right=f"{wanted.__name__}: {right.error}"[:SHOWN])
    found = _difference(got.value, right.value, "the result", closeness)
    if found is None:
        found = _difference(got.after, right.after, "argument", closeness)
    return found


def _difference(got: Any, right: Any, name: str, closeness: float) -> Difference | None:
    mine, theirs = list(_leaves(got, name)), list(_leaves(right, name))
    if [n for n, _ in mine] != [n for n, _ in theirs]:
        return Difference("form", f"{name} is {form(got)}; {form(right)} is right")
    for (place, a), (_, b) in zip(mine, theirs, strict=True):
        if form(a) != form(b):
            return Difference("form", f"{place} is {form(a)}; {form(b)} is right")
    for (place, a), (_, b) in zip(mine, theirs, strict=True):
        if not _same(a, b, closeness):
            return Difference("values", f"{place} is not right", brief(a), brief(b))
    return None


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """(place, value) of what is no list, tuple or dictionary."""
    if isinstance(value, dict):
        for key in sorted(value, key=repr):
            place = f"its {key}" if name == "the result" else f"{name} {key}"
            yield from _leaves(value[key], place)
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from _leaves(item, f"{name}[{i}]")
    else:
        yield name, value


def form(value: Any) -> str:
    """The kind of a value in a few words; numbers of any kind are alike."""
    if isinstance(value, np.ndarray) and value.ndim:
        return f"an array of shape {value.shape}, {value.dtype}"
    if isinstance(value, (bool, np.bool_)):
        return "a truth value"
    if isinstance(value, (int, float, np.number, np.ndarray)):
        return "a number"
    if isinstance(value, (list, tuple)):
        return f"{len(value)} values" if value else "empty"
    return "None" if value is None else f"a {type(value).__name__}"


def _same(a: Any, b: Any, closeness: float) -> bool:
    if isinstance(b, (np.ndarray, float, np.floating)):
        a, b = np.asarray(a), np.asarray(b)
        if b.dtype.kind != "f" or a.dtype.kind not in "fiub":
            return bool(np.array_equal(a, b))
        coarse = np.float32 in (a.dtype, b.dtype)
        limit = max(closeness, CLOSE32) if coarse else closeness
        floor = 0.1 if coarse else 1e-3  # terms that cancel leave their rounding behind
        finite = np.isfinite(b)
        if not np.array_equal(np.where(finite, 0, a), np.where(finite, 0, b), equal_nan=True):
            return False
        largest = np.abs(b[finite]).max(initial=0)
        return bool((np.abs(a[finite] - b[finite]) <= limit * max(largest, floor)).all())
    return bool(a == b)


def describe(error: Exception) -> str:
    """An exception in one line, with the line of the learner's file that it came from."""
    line = line_of(error)
    what = f"{type(error).__name__}: {error}".split("\n")[0][:160]
    return f"{what}{f' (your line {line})' if line else ''}"


HERS = ""  # the learner's file, for tracebacks; child.py sets it


def line_of(error: BaseException) -> int | None:
    """The last line of the learner's file in an exception's traceback."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == HERS]
    return lines[-1] if lines else None


def literal(value: Any) -> str:
    """A value as Python would read it, with np for NumPy."""
    if isinstance(value, np.ndarray):
        numbers = re.sub(r"\b(inf|nan)\b", r"np.\1", repr(value.tolist()))
        return f"np.array({numbers}, np.{value.dtype})"
    if isinstance(value, (list, tuple)):
        inner = ", ".join(map(literal, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (len(value) == 1)})"
    if isinstance(value, np.generic):
        value = value.item()
    return repr(value)


def pasted(shown: str, name: str, arguments: tuple[Any, ...]) -> str:
    """The call with these arguments.  shown: its form, with {f}, {0}, {1}, {rest}; "": plain."""
    if shown:
        rest = ", ".join(map(literal, arguments[1:]))
        return shown.format(*map(literal, arguments), f=name, rest=rest)
    return f"{name}({', '.join(map(literal, arguments))})"


def brief(value: Any) -> str:
    """A value in a line: four digits."""
    if isinstance(value, np.ndarray):
        with np.printoptions(precision=4, suppress=True, threshold=12, linewidth=1000):
            text = " ".join(str(value).split())
    elif isinstance(value, dict):
        text = ", ".join(f"{name} {brief(one)}" for name, one in value.items())
    elif isinstance(value, (list, tuple)) and len(value) < 5:
        text = ", ".join(map(brief, value))
        text = f"[{text}]" if isinstance(value, list) else f"({text}{',' * (len(value) == 1)})"
    else:
        text = f"{value:.6g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
