"""Where the lines are drawn: rules.toml, and the user's file laid over it.

Read next: ../judge.py, which asks the rules.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tinygpt.curation.rules import RULES
from tinygpt.curation.rules.c4 import LineRules
from tinygpt.curation.rules.view import View
from tinygpt.errors import UsageError
from tinygpt.storage.paths import shown
from tinygpt.storage.reading import FormatError, parse_toml
from tinygpt.text.files import DataError
from tinygpt.text.reading import read_text

OWN = Path(__file__).with_name("rules.toml")


class Limits(NamedTuple):
    """What a rule's value may be, both ends allowed."""

    least: float
    most: float


class Settings:
    """All that curation is told, as nested plain values.

    values: what a JSON file can hold, so that a worker or a later run is told the same.
    limits: of the rules that are on.
    """

    def __init__(self, values: dict[str, Any]):
        self.values = values
        self.limits = {name: _limits(self.of(name)) for name in RULES if self.of(name)["on"]}

    def of(self, name: str) -> dict[str, Any]:
        """The table of a dotted name."""
        table = self.values
        for part in name.split("."):
            table = table[part]
        return {"on": True, **table}

    def line_rules(self) -> LineRules | None:
        """What C4 asks of a line, None if it is off."""
        table = self.of("c4.lines")
        if not table["on"]:
            return None
        return LineRules(
            table["terminal"], table["words"] or None, table["longest_word"] or None,
            tuple(table["phrases"]), table["citations"],
        )

    def first_failed(self, measured: Mapping[str, float]) -> str | None:
        """The first rule whose value is outside its limits; NaN is within all."""
        for name, (least, most) in self.limits.items():
            value = measured[name]
            if not math.isnan(value) and not least <= value <= most:
                return name
        return None


def measure(view: View, names: Mapping[str, Limits]) -> dict[str, float]:
    """Every rule's value for a text."""
    return {name: RULES[name](view) for name in names}


def load(path: str | Path | None = None) -> Settings:
    """rules.toml with the user's file over it.

    Raises UsageError for a file that is not TOML, and for a key or a type that rules.toml has not.
    """
    values = _parsed(OWN)
    if path is not None:
        _lay_over(values, _parsed(Path(path)), shown(path), "")
    return Settings(values)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = parse_toml(read_text(path))
        return values
    except DataError as error:
        raise UsageError(str(error)) from None
    except FormatError as error:
        raise UsageError(f"{shown(path)} {error}. Correct it.") from None


def _lay_over(under: dict[str, Any], over: dict[str, Any], file: str, where: str) -> None:
    for name, value in over.items():
        full = f"{where}{name}"
        if isinstance(value, dict) and isinstance(under.get(name), dict):
            _lay_over(under[name], value, file, f"{full}.")
        elif name == "on" and where and isinstance(value, bool):
            under[name] = value
        elif name in ("least", "most") and _is_rule(where) and _alike(value, 0.0):
            under[name] = value
        elif name not in under:
            known = ", ".join(sorted([*under, *(["on"] if where else [])]))
            raise UsageError(f"{file} sets {full}, which is not known. Known there: {known}.")
        elif not _alike(value, under[name]):
            kind = type(under[name]).__name__
            raise UsageError(f"{file} sets {full} = {value!r}, which is no {kind}. Correct it.")
        else:
            under[name] = value


def _is_rule(where: str) -> bool:
    return where.removesuffix(".") in RULES


def _alike(value: Any, example: Any) -> bool:
    if isinstance(example, bool) or isinstance(value, bool):
        return isinstance(example, bool) and isinstance(value, bool)
    if isinstance(example, int | float):
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, type(example))


def _limits(table: Mapping[str, Any]) -> Limits:
    return Limits(float(table.get("least", -math.inf)), float(table.get("most", math.inf)))
