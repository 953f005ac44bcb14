"""The book as pages for a browser: chapters, the code that they link, the API, a search.

All addresses are relative, so the same files can be opened from a folder, put on a USB stick, or
served below any path. Nothing is fetched from elsewhere, and no page needs a script but the search.

    index.html, numbers.html, ...        the pages of docs/
    source/*.html                        the files of code that pages link
    api/minigrad.ops.html                public names with their docstrings
    search.html, words.js                all sections, found in the reader's browser

Read next: ../cli/book.py.
"""

from __future__ import annotations

import json
import posixpath
import re
from functools import cache
from html import escape
from pathlib import Path

from tinygpt.book import api, pages
from tinygpt.book.render import FILES, block, slug, to_html

THEME = Path(__file__).parent / "theme"
LINK = re.compile(r"\]\(\.\./([^)#]+)")  # from docs/ to the code
KINDS = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}


@cache
def addresses() -> dict[str, Path | None]:
    """Every file of the site, and the one that it is made of (None: of several)."""
    folder = pages.folder()
    found: dict[str, Path | None] = {}
    for name in pages.names():
        found["index.html" if name == "README" else f"{name}.html"] = folder / f"{name}.md"
    for path in sorted(folder.rglob("*.svg")):
        found[path.relative_to(folder).as_posix()] = path
    for name in ("book.css", "search.js", "icon.svg"):
        found[name] = THEME / name
    for name in sorted({*LINK.findall("".join(map(pages.text_of, pages.names()))), *api.modules()}):
        path = pages.ROOT / name
        if path.suffix in FILES and path.is_file():
            found[f"source/{name}.html"] = path
    found |= {f"api/{api.dotted(package)}.html": None for package in api.packages()}
    return found | {"api/index.html": None, "search.html": None, "words.js": None}


def made(address: str) -> bytes:
    """A file of the site.  Raises KeyError for an address that is not among `addresses`."""
    path = addresses()[address]
    if address == "words.js":
        return _words().encode()
    if address == "search.html":
        return _page(address, "Search", SEARCH).encode()
    if address.startswith("api/"):
        return _api(address).encode()
    assert path is not None
    if address.startswith("source/"):
        name = path.relative_to(pages.ROOT).as_posix()
        code = block(path.read_text(encoding="utf-8"), FILES[path.suffix])
        return _page(address, name, f"<h1>{name}</h1>\n{code}").encode()
    if path.suffix == ".md":
        text = path.read_text(encoding="utf-8")
        inside = to_html(text, lambda target: _resolved(target, address))
        return _page(address, pages.title_of(path.stem), inside).encode()
    return path.read_bytes()


def write(folder: Path) -> int:
    """The whole site into a folder.  Returns how many files."""
    for address in addresses():
        path = folder / address
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made(address))
    return len(addresses())


def _resolved(target: str, address: str) -> str | None:
    """Where a link of a page of docs/ leads here, None for what is not there."""
    if re.match(r"\w+:|#", target):
        return target
    target, _, anchor = target.partition("#")
    path = posixpath.normpath(posixpath.join("docs", target))
    if path.startswith("docs/"):
        name = path.removeprefix("docs/")
        name = {"README.md": "index.html"}.get(name, re.sub(r"\.md$", ".html", name))
    else:
        name = f"source/{path}.html"
    if name not in addresses():
        return None
    return _relative(name, address) + (f"#{anchor}" if anchor else "")


def _relative(name: str, address: str) -> str:
    return posixpath.relpath(name, posixpath.dirname(address) or ".")


def _api(address: str) -> str:
    found = {dotted: path for path in api.packages() for dotted in [api.dotted(path)]}
    if address == "api/index.html":
        lines = "".join(f'<li><a href="{name}.html">{name}</a></li>\n' for name in found)
        return _page(address, "API", f"<h1>API</h1>\n<ul>\n{lines}</ul>\n")
    package = address.removeprefix("api/").removesuffix(".html")
    sources = {
        name.removeprefix("source/").removesuffix(".html"): _relative(name, address)
        for name in addresses() if name.startswith("source/")
    }
    return _page(address, package, api.inside(found[package], sources))


def _words() -> str:
    """All sections of all pages, for the search: [address, page, section, text]."""
    found = []
    for name in pages.names():
        address, title = "index.html" if name == "README" else f"{name}.html", pages.title_of(name)
        text = re.sub(r"^```\w*$|\]\([^)]*\)|<[^>]+>|[*`\[]", "", pages.text_of(name), flags=re.M)
        for section in re.split(r"^##? ", text, flags=re.MULTILINE)[1:]:
            heading, _, body = section.partition("\n")
            found.append([f"{address}#{slug(heading)}", title, heading, " ".join(body.split())])
    return f"const WORDS = {json.dumps(found, ensure_ascii=False)};\n"


SEARCH = """<h1>Search</h1>
<form role="search"><label for="asked">Words</label>
<input id="asked" type="search"></form>
<p id="count" role="status"></p>
<ol id="found"></ol>
<noscript><p>The search needs JavaScript. Ctrl-F finds words on a page.</p></noscript>
"""


def _page(address: str, title: str, inside: str) -> str:
    """A whole page: where one is, the contents, the text, and what comes before and after."""
    def to(name: str) -> str:
        return _relative(name, address)

    scripts = "".join(
        f'<script src="{to(name)}" defer></script>\n'
        for name in ("words.js", "search.js") if address == "search.html"
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)} - tinygpt</title>
<link rel="stylesheet" href="{to("book.css")}">
<link rel="icon" href="{to("icon.svg")}" type="image/svg+xml">
{scripts}</head>
<body>
<a class="skip" href="#text">Skip to the text</a>
<header><a href="{to("index.html")}">tinygpt, the book</a>
<a href="{to("glossary.html")}">Glossary</a> <a href="{to("api/index.html")}">API</a>
<a href="{to("search.html")}">Search</a></header>
<nav aria-label="Chapters"><details><summary>Chapters</summary>
{_contents(address)}</details></nav>
<main id="text">
{inside}</main>
{_neighbours(address)}</body>
</html>
"""


def _contents(address: str) -> str:
    lines = []
    for part, inside in pages.parts():
        items = "".join(
            f'<li><a href="{_relative(f"{name}.html", address)}"'
            f'{" aria-current=page" * (address == f"{name}.html")}>{escape(title)}</a></li>\n'
            for title, name in inside
        )
        lines.append(f"<p>{escape(part)}</p>\n<ul>\n{items}</ul>\n")
    return "".join(lines)


def _neighbours(address: str) -> str:
    """Links to the chapters before and after."""
    names = [name for _, name in pages.chapters()]
    name = address.removesuffix(".html")
    if name not in names:
        return ""
    at = names.index(name)
    around = [("Before", at - 1), ("Next", at + 1)]
    links = " ".join(
        f'<a href="{names[i]}.html">{word}: {escape(pages.chapters()[i][0])}</a>'
        for word, i in around if 0 <= i < len(names)
    )
    return f'<footer><nav aria-label="Neighbours">{links}</nav></footer>\n'
