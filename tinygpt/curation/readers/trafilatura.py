"""The text of a web page by trafilatura, if asked for: [reading] trafilatura = true.

It knows more of how pages are made than html.py's density of text: comments, recipes, forums. It
brings 15 packages (pip install "tinygpt[html]": 20 MB), and is ten times slower.

Read first: html.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tinygpt.curation.readers import Read, html
from tinygpt.curation.source import Source
from tinygpt.errors import UserError


def read(source: Source) -> Iterator[Read]:
    """The page as one document.  Raises UserError without trafilatura, FormatError as html.read."""
    page, encoding = html.page_of(source)
    yield Read("", main_text(page), encoding)


def main_text(page: str) -> str:
    """The paragraphs of a page that are text, blank lines between them; "" for none."""
    try:
        from trafilatura import extract
    except ImportError:
        raise UserError(
            "reading.trafilatura needs trafilatura, which is not installed. Run "
            "`pip install trafilatura`, or set it to false."
        ) from None
    return re.sub(r"\n+", "\n\n", extract(page, include_comments=False) or "")
