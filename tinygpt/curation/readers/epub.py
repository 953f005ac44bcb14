"""E-books in .epub: a ZIP archive of pages, and a list that says in which order they are read.

META-INF/container.xml names the package file; its manifest names pages by ids, and its spine puts
ids in order. Pages are read as web pages are, but whole: a book has no menus to leave out.

Source: EPUB 3.3 (W3C), 5 and 6.  Read next: pdf.py.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from urllib.parse import unquote

from tinygpt.curation.readers import Read, Refused
from tinygpt.curation.readers.archive import Archive, opened, parse
from tinygpt.curation.readers.html import declared, whole_text
from tinygpt.curation.source import Source
from tinygpt.storage.reading import FormatError

CONTAINER = "META-INF/container.xml"
PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")


def read(source: Source) -> Iterator[Read | Refused]:
    """The book as one document; the other side cuts it if it is long.  Raises FormatError."""
    with source.whole() as path, opened(path) as archive:
        pages = [_page(archive.read(name)) for name in _spine(archive)]
    yield Read("", "\n\n".join(page for page in pages if page), "utf-8")


def _page(data: bytes) -> str:
    try:
        page = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        page = data.decode(declared(data) or "utf-16" if data[:2] in BOMS else "cp1252", "replace")
    return whole_text(page)


BOMS = (b"\xff\xfe", b"\xfe\xff")


def _spine(archive: Archive) -> list[str]:
    """The names of the pages, in the order in which they are read."""
    roots: list[str] = []

    def root(name: str, attributes: dict[str, str]) -> None:
        if name == "rootfile" and attributes.get("full-path"):
            roots.append(attributes["full-path"])

    # Some books were packed with the folder that they lay in: then all is below that.
    container = min((name for name in archive.names if name.endswith(CONTAINER)), key=len,
                    default=CONTAINER)
    parse(archive.read(container), root, _nothing, _nothing)
    if not roots:
        raise FormatError("names no package in its container.xml")
    package = container.removesuffix(CONTAINER) + roots[0]
    items: dict[str, str] = {}
    order: list[str] = []
    folder = posixpath.dirname(package)

    def item(name: str, attributes: dict[str, str]) -> None:
        if name == "item" and attributes.get("media-type") in PAGES:
            path = posixpath.join(folder, unquote(attributes.get("href", "")))
            items[attributes.get("id", "")] = posixpath.normpath(path)
        elif name == "itemref" and attributes.get("linear") != "no":
            order.append(attributes.get("idref", ""))

    parse(archive.read(package), item, _nothing, _nothing)
    pages = [items[id_] for id_ in order if items.get(id_) in archive.names]
    if not pages:
        raise FormatError("has no pages in its spine")
    return list(dict.fromkeys(pages))


def _nothing(*ignored: object) -> None:
    pass
