"""Plain text, Markdown and reStructuredText: as their authors wrote them, mark-up included.

Read next: html.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from tinygpt.curation.encoding import decoded, encoding_of
from tinygpt.curation.readers import Read, Refused, cut
from tinygpt.curation.source import Source


def read(source: Source) -> Iterator[Read | Refused]:
    """The file as one document, or as several if it is long.  Raises FormatError for no text."""
    encoding, mark = encoding_of(source.open)
    pieces = cut(decoded(source.open, encoding, mark))
    first, second = next(pieces, ""), next(pieces, None)
    if second is None:
        yield Read("", first, encoding)
        return
    for number, piece in enumerate(itertools.chain([first, second], pieces), 1):
        yield Read(f"#{number}", piece, encoding)
