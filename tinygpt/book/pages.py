"""Where the book's Markdown lies, and its order.

In a checkout it is docs/, beside the packages; a wheel carries a copy of that folder in
tinygpt/book/pages (setup.py puts it there).

Read next: render.py.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from tinygpt.errors import UserError

ROOT = Path(__file__).parents[2]  # of the packages: the checkout, or site-packages
CARRIED = Path(__file__).parent / "pages"
CHAPTER = re.compile(r"^\d+\. \[(.+?)\]\(([\w-]+)\.md\)", re.MULTILINE)
PART = re.compile(r"^## (.+)$", re.MULTILINE)


@cache
def folder() -> Path:
    """The folder of README.md and the chapters.  Raises UserError where it was left out."""
    for place in (ROOT / "docs", CARRIED):
        if (place / "README.md").is_file() and (place / "numbers.md").is_file():
            return place
    raise UserError("the book's pages are not installed. Install tinygpt again from its folder.")


def names() -> list[str]:
    """All pages, without their ending: the contents first, then the chapters, then the others."""
    first = ["README", *(name for _, name in chapters())]
    others = sorted(path.stem for path in folder().glob("*.md"))
    return [*first, *(name for name in others if name not in first)]


def text_of(name: str) -> str:
    """A page's Markdown."""
    return (folder() / f"{name}.md").read_text(encoding="utf-8")


@cache
def chapters() -> tuple[tuple[str, str], ...]:
    """(title, name) in reading order."""
    return tuple(CHAPTER.findall(text_of("README")))


@cache
def parts() -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """(title of the part, its chapters), for the contents beside each page."""
    pieces = PART.split(text_of("README"))[1:]
    found = ((title, tuple(CHAPTER.findall(text))) for title, text in zip(
        pieces[::2], pieces[1::2], strict=True
    ))
    return tuple((title, inside) for title, inside in found if inside)


def title_of(name: str) -> str:
    """The first heading."""
    return text_of(name).split("\n", 1)[0].removeprefix("# ")
