"""Paths, sizes and texts on the command line: the types of options and arguments."""

from __future__ import annotations

import re
from typing import Any

import click

from tinygpt.storage.paths import expand, kind


class Place(click.Path):
    """click's, with "~" for the home folder also where no shell expands it: --out=~/run."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(expand(value), param, ctx)


class ModelPlace(Place):
    """A model's path, or the name of one in the user's own folder (weights/shelf.py)."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        value = expand(value)
        if not kind(value):
            from tinygpt.weights.shelf import named  # here, so that --help and a path are quick

            value = named(value)
        return super().convert(value, param, ctx)


class Size(click.ParamType):  # type: ignore[type-arg]
    """Bytes of "500MB", "1GB", "1.5 GiB" or a plain number, as an int."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*([KMGT]?)(i?)B?", value.strip(), re.IGNORECASE)
        if match is None or float(match[1]) <= 0:
            self.fail(f"{value!r} is not a size. Write for example 500MB or 1GB.", param, ctx)
        power = " KMGT".index(match[2].upper() or " ")
        return int(float(match[1]) * (1024 if match[3] else 1000) ** power)


def one_text(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> str | None:
    """The callback of a repeatable option that may be given once: the last would drop the first."""
    if len(values) > 1:
        raise click.UsageError(
            f"{param.opts[0]} was given {len(values)} times: {', '.join(values)}. One text can be "
            "learned: put the files into a folder and give that.",
            ctx,
        )
    return values[0] if values else None
