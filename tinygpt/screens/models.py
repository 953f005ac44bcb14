"""The tables that `tinygpt models` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from rich.table import Table

from tinygpt.screens.console import Screen
from tinygpt.storage.paths import shown
from tinygpt.weights.shelf import Model


def show_models(found: Mapping[Path, Sequence[Model]]) -> None:
    """One table of all folders; a line where there is nothing."""
    screen = Screen()
    table = Table(box=None, pad_edge=False)
    for head in ("name", "family", "MB", "weights", "context", "from", "in"):
        side: Literal["left", "right"] = "right" if head in ("MB", "context") else "left"
        table.add_column(head, justify=side, overflow="fold")
    for folder, models in found.items():
        for model in models:
            table.add_row(
                shown(model.path.name), model.family or "cannot be opened",
                f"{model.size / 1e6:.1f}", model.held,
                f"{model.context:,}" if model.context else "", model.source, shown(folder),
            )
    if table.row_count:
        screen.print(table)
    else:
        screen.say(f"no models in {' or '.join(shown(folder.absolute()) for folder in found)}")
    for models in found.values():
        for model in models:
            if model.wrong:
                screen.say(f"{shown(model.path)}: {model.wrong}")


def show_details(
    model: Model, keys: Mapping[str, str], tensors: Mapping[str, tuple[str, str]]
) -> None:
    """Plain lines, for grep: keys, then tensors."""
    screen = Screen()
    screen.say(f"{shown(model.path)}: {model.source}, {model.family}, {model.held}, "
               f"{model.size / 1e6:.1f} MB, context {model.context:,} tokens")
    for name, value in keys.items():
        screen.copyable(f"{name} = {value}")
    for name, (kind, shape) in tensors.items():
        screen.copyable(f"{name}  {kind}  {shape}")
