"""A file of results: what was asked, what was answered, one line of JSON an item.

    {"results": 1, "suite": "addition", "kind": "choice", "model": "run", "identity": "5f...", ...}
    {"item": "addition 1", ...}
    {"item": "addition 2", "left_out": "an answer is 90 tokens long, ..."}

Tables, pages and comparisons are made of such a file alone, so that a number can always be traced
to the items behind it, and none is computed twice in two ways. An evaluation that was cut short has
left whole lines but perhaps the last: `begin` goes on after them, where suite, model and settings
are the same.

Read next: suite.py, page.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np

from tinygpt.errors import UserError
from tinygpt.evaluation.intervals import Difference, Interval
from tinygpt.storage.durable import AppendLog, replace_file
from tinygpt.storage.paths import expand, kind, shown
from tinygpt.storage.reading import (
    ANYTHING,
    COUNT,
    NUMBER,
    TEXT,
    FormatError,
    one_of,
    parse_json,
    read_lines,
)

VERSION = 1
NAMED = 3  # of the items left out
KINDS = ("text", "choice", "written")
HEADER = {
    "results": one_of(VERSION), "suite": TEXT, "kind": one_of(*KINDS), "model": TEXT,
    "identity": TEXT, "settings": {str: ANYTHING}, "notes": [TEXT], "rivals?": {str: NUMBER},
    str: ANYTHING,
}
# What each kind of line must hold, so that whoever counts need not look again.
SCORES = {"answer": TEXT, "nats": NUMBER, "tokens": COUNT, "bytes": COUNT, "alone": NUMBER}
LINES: dict[str, Any] = {
    "text": {"item": TEXT, "bytes": COUNT, "words": COUNT, "tokens": COUNT, "nats": NUMBER,
             str: ANYTHING},
    "choice": {"item": TEXT, "right": [COUNT], "choices": [{**SCORES, str: ANYTHING}],
               "cluster": TEXT, str: ANYTHING},
    "written": {"item": TEXT, "prompt": TEXT, "written": TEXT, "wanted": [TEXT],
                "scores": {str: NUMBER}, "cluster": TEXT, str: ANYTHING},
}
LEFT_OUT = {"item": TEXT, "left_out": TEXT, str: ANYTHING}


class Row(NamedTuple):
    """One number of a table.  percent: it is a share.  note: beside it."""

    name: str
    found: Interval
    percent: bool = False
    note: str = ""


class Pair(NamedTuple):
    """One number of two models, and what lies between them.

    above, below: what it was made of, a's and b's sums of each cluster, and the clusters' sizes.
    """

    name: str
    a: Interval
    b: Interval
    change: Difference
    above: tuple[np.ndarray, np.ndarray]
    below: np.ndarray
    lower_is_better: bool = False
    percent: bool = False


class Results(NamedTuple):
    """header: as HEADER.  lines: of the header's kind, or left out, in order."""

    header: dict[str, Any]
    lines: list[dict[str, Any]]

    @property
    def counted(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if "left_out" not in line]

    def save(self, path: Path) -> None:
        """Raises UserError if it cannot be written."""
        text = "".join(f"{json.dumps(one)}\n" for one in (self.header, *self.lines))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, text)
        except OSError as error:
            raise UserError(
                f"cannot write {shown(path)}: {error.strerror or error}. Choose another place."
            ) from None


def looks_like(path: str | Path) -> bool:
    """Whether a path is a file of results."""
    path = Path(expand(path))
    if kind(path) != "file":
        return False
    with open(path, "rb") as file:
        return file.read(16).replace(b" ", b"").startswith(b'{"results":')


def read(path: str | Path, warn: Callable[[str], object]) -> Results:
    """A file of results.

    warn: told of lines that are left out: damaged ones, and a half one at the end.
    Raises UserError for a file that is none, or has no item.
    """
    path = Path(expand(path))
    try:
        header, lines = _parsed(path, warn)
    except FormatError as error:
        raise UserError(
            f"{shown(path)} is no file of results: it {error}. Make one with `tinygpt evaluate`."
        ) from None
    if not lines:
        raise UserError(f"{shown(path)} has no item yet. Let the evaluation go on: --resume.")
    return Results(header, lines)


def _parsed(
    path: Path, warn: Callable[[str], object]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    rows = list(read_lines(path, {str: ANYTHING}, warn))
    if not kind(path):
        raise FormatError("is not there")
    if not rows or "results" not in rows[0]:
        raise FormatError("does not begin with a line of what was asked")
    header = parse_json(json.dumps(rows[0]), HEADER)
    lines, wrong = [], []
    for row in rows[1:]:
        form = LEFT_OUT if "left_out" in row else LINES[header["kind"]]
        try:
            lines.append(parse_json(json.dumps(row), form))
        except FormatError as error:
            wrong.append(f"{row.get('item', 'a line without a name')} {error}")
    if wrong:
        warn(f"{shown(path)}: {len(wrong)} lines are left out ({wrong[0]})")
    with open(path, "rb") as file:
        file.seek(-1, 2)
        if file.read(1) != b"\n":
            warn(f"{shown(path)} ends in mid-line: what was begun there is left out")
    return header, lines


def begin(
    path: Path, header: dict[str, Any], resume: bool, warn: Callable[[str], object]
) -> tuple[list[dict[str, Any]], AppendLog]:
    """(lines that are there already, where the next go).

    Raises UserError where lines are there of something else, or cannot be written.
    """
    lines: list[dict[str, Any]] = []
    if resume and kind(path):
        there = Results(*_begun(path, warn))
        then, now = (
            {**{name: one[name] for name in ("suite", "kind", "identity")}, **one["settings"]}
            for one in (there.header, header)
        )
        for name in {**then, **now}:
            if then.get(name) != now.get(name):
                raise UserError(
                    f"{shown(path)} was made with {name} {then.get(name)!r}, now it is "
                    f"{now.get(name)!r}. Begin anew without --resume."
                )
        lines = there.lines
    Results(header, lines).save(path)  # whole lines alone

    def refuse(text: str) -> None:
        raise UserError(f"{text.partition(';')[0]}. Make room there, then --resume.")

    return lines, AppendLog(path, refuse)


def _begun(
    path: Path, warn: Callable[[str], object]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    try:
        return _parsed(path, warn)
    except FormatError as error:
        raise UserError(
            f"{shown(path)} cannot be gone on with: it {error}. Begin anew without --resume."
        ) from None


def told(change: Difference, unit: str, lower_is_better: bool, percent: bool = False) -> str:
    """A difference as a sentence: how large, how sure, and what could have been seen at all."""
    found, times, form = change.interval, *((100, ".1f") if percent else (1, ".4g"))
    unit = "points" if percent else unit
    if not found.known:
        return f"{times * found.value:+{form}} {unit}, with too few clusters to say how surely."
    low, high = f"{times * found.low:+{form}}", f"{times * found.high:+{form}}"
    if change.seen:
        word = "better" if (found.value < 0) == lower_is_better else "worse"
        said = f"{word} by {abs(times * found.value):{form}} {unit}"
        ends = sorted((found.low, found.high), key=abs)
        low, high = (f"{abs(times * one):{form}}" for one in ends)
    else:
        said = f"no difference is seen ({times * found.value:+{form}} {unit})"
    if not found.error:
        return (f"{said}, the same for each of {found.clusters}: such data cannot say how large a "
                "difference they would have missed.")
    return (
        f"{said}, 95 % between {low} and {high}; these data could have shown "
        f"{times * change.detectable:.2g} or more."
    )


def shown_interval(found: Interval, percent: bool = False) -> tuple[str, str]:
    """(the number, its interval) as texts."""

    def text(value: float) -> str:
        if percent:
            return f"{value:.1%}"
        return f"{value:,.0f}" if 1000 <= value < 1e7 else f"{value:.4g}"

    if not found.known:
        return text(found.value), ""
    return text(found.value), f"{text(found.low)} to {text(found.high)}"


def short_names(results: Sequence[Results]) -> dict[str, str]:
    """Each model's last part of its path, the whole where two have the same."""
    models = list(dict.fromkeys(one.header["model"] for one in results))
    last = [PurePath(one).name or one for one in models]
    return {model: shown(name if last.count(name) == 1 else model)
            for model, name in zip(models, last, strict=True)}


def same_items(a: Results, b: Results) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The lines of both about the same items, in a's order.

    Raises UserError for results of two suites or with no item in common.
    """
    for name in ("suite", "kind"):
        if a.header[name] != b.header[name]:
            raise UserError(
                f"the two were asked different things: {name} is {a.header[name]!r} in one and "
                f"{b.header[name]!r} in the other. Evaluate both on one suite."
            )
    others = {line["item"]: line for line in b.counted}
    first = [line for line in a.counted if line["item"] in others]
    if not first:
        raise UserError("the two have no item in common. Evaluate both on the same data.")
    return first, [others[line["item"]] for line in first]


def is_finite(found: Interval) -> bool:
    return all(math.isfinite(one) for one in (found.value, found.low, found.high))


def left_out(lines: Sequence[dict[str, Any]]) -> str:
    """A sentence on what was not asked and why, "" for nothing."""
    missing = [line for line in lines if "left_out" in line]
    if not missing:
        return ""
    named = []
    for line in missing[:NAMED]:
        item, why = line["item"], line["left_out"].rstrip(".")
        named.append(why if why.startswith(item) else f"{item}: {why}")
    more = f"; and {len(missing) - NAMED} more" * (len(missing) > NAMED)
    return f"{len(missing)} of {len(lines)} left out; {'; '.join(named)}{more}."
