"""A chapter as a notebook: its prose and its blocks, one cell for each result.

What a block prints is left out, since running it prints it again. Where it shows an error, the cell
is marked so that whoever runs all of them goes on.

Read next: ../cli/book.py.
"""

from __future__ import annotations

import doctest
import json
import re
from pathlib import Path
from typing import Any

from tinygpt.book import pages

BLOCK = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)


def notebook(markdown: str) -> dict[str, Any]:
    """In nbformat 4.5, without outputs."""
    cells: list[dict[str, Any]] = []
    for index, piece in enumerate(BLOCK.split(markdown)):
        if index % 2:
            cells.extend(_code(piece))
        elif piece.strip():
            cells.append({"cell_type": "markdown", "metadata": {}, "source": piece.strip("\n")})
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def write(folder: Path) -> int:
    """A notebook for each page that has code, and the figures.  Returns how many notebooks."""
    made = 0
    for name in pages.names():
        text = pages.text_of(name)
        if BLOCK.search(text):
            folder.mkdir(parents=True, exist_ok=True)
            content = json.dumps(notebook(text), indent=1, ensure_ascii=False) + "\n"
            (folder / f"{name}.ipynb").write_text(content, encoding="utf-8")
            made += 1
    for figure in pages.folder().rglob("*.svg"):
        path = folder / figure.relative_to(pages.folder())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(figure.read_bytes())
    return made


def _code(block: str) -> list[dict[str, Any]]:
    """Cells of a block; each ends with the first line that shows something."""
    cells: list[dict[str, Any]] = []
    lines = ""
    examples = doctest.DocTestParser().get_examples(block)
    for last, example in zip([*[False] * (len(examples) - 1), True], examples, strict=True):
        lines += example.source
        if example.want or last:
            raises = example.exc_msg is not None
            cells.append({
                "cell_type": "code", "execution_count": None, "outputs": [],
                "metadata": {"tags": ["raises-exception"]} if raises else {},
                "source": lines.rstrip("\n"),
            })
            lines = ""
    return cells
