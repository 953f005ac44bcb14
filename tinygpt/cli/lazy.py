"""A click group made of a table: --help reads the table, and a command is imported when called.

So `tinygpt --help` needs neither NumPy nor a second. `python -m bench` is made the same way.
"""

from __future__ import annotations

import importlib
import re
import shutil
from typing import Any

import click

from tinygpt.machine.terminal import command


def _runnable(text: str | None) -> str | None:
    """A help whose examples, lines that begin with `tinygpt`, run as they stand."""
    return text and re.sub(r"(?m)^( *)tinygpt(?= )", lambda found: found[1] + command(), text)


class LazyGroup(click.Group):
    """A group whose commands stand in `table`: name -> ("module:attribute", one line of help)."""

    def __init__(self, table: dict[str, tuple[str, str]], **settings: Any) -> None:
        columns = shutil.get_terminal_size().columns  # click alone writes 50 in 40, broken in words
        settings.setdefault("context_settings", {
            "help_option_names": ["-h", "--help"], "terminal_width": max(24, min(80, columns) - 2),
        })
        super().__init__(**settings)
        self.table, self.help = table, _runnable(self.help)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.table:
            return None
        module, _, attribute = self.table[name][0].partition(":")
        found: click.Command = getattr(importlib.import_module(module), attribute)
        found.help = _runnable(found.help)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.table.items()])
