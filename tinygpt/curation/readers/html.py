"""The text of a web page without its menus: own code, by how dense text and links lie.

A page is taken apart into blocks: what stands between two tags that begin a line (<p>, <div>, <li>,
<h1> ...). A block of many words and few links is text; a short one, or one of links, is a menu, a
button or a footer. Short blocks between two of text (a line of dialogue, a caption, a subheading)
belong to the text, so each is judged by its neighbours after all have been judged alone.

Source of the idea: Pomikalek 2011 (jusText), Kohlschuetter 2010 (shallow text features). The
thresholds are ours, for pages in any language: characters and not words, no list of words.

Read next: lines.py.
"""

from __future__ import annotations

import codecs
import html
import re
from collections.abc import Iterator
from typing import NamedTuple

from tinygpt.curation.encoding import GUESS, encoding_of
from tinygpt.curation.readers import Read, Refused
from tinygpt.curation.source import Source
from tinygpt.storage.reading import FormatError

LARGEST = 32 << 20  # bytes of a page
LONG = 80  # characters from which a block without many links is text
SHORT = 30  # characters below which it must lie beside text
LINKS = 0.33  # share of its characters in links, above which a block is a menu
DEEPEST = 2000  # open tags that we follow; a page of more is damaged or hostile

DROPPED = {
    "script", "style", "noscript", "template", "svg", "nav", "footer", "aside", "form", "button",
    "select", "iframe", "object", "head", "dialog", "textarea", "math", "canvas", "audio", "video",
}
VOID = {"br", "hr", "img", "input", "link", "meta", "area", "base", "col", "embed", "source", "wbr"}
INLINE = {
    "a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "dfn", "em", "i", "kbd", "mark", "q",
    "s", "samp", "small", "span", "strong", "sub", "sup", "time", "u", "var", "font", "tt", "del",
    "ins", "big", "wbr", "img", "ruby", "rb", "rt", "rp",
}
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.I)
TAG = re.compile(r"<(?:!--|[!?]|(/?)([a-zA-Z][^\s/>]{0,40}))")
RAW = {  # what stands in these is no mark-up
    name: re.compile(f"</{name}", re.I)
    for name in ("script", "style", "textarea", "title", "noscript", "iframe", "template")
}
SPACE = re.compile(r"\s+")


class Block(NamedTuple):
    """text: of one line, or of several in <pre>.  linked: its characters inside links."""

    text: str
    linked: int
    heading: bool
    kept: bool  # in <main>, <article> or <pre>: half as much is asked of it


def read(source: Source) -> Iterator[Read | Refused]:
    """The page as one document.  Raises FormatError for one too large or too deep."""
    page, encoding = page_of(source)
    yield Read("", main_text(page), encoding)


def page_of(source: Source) -> tuple[str, str]:
    """(a page, its encoding).  Raises FormatError for one too large."""
    with source.open() as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise FormatError(f"is larger than {LARGEST >> 20} MB, too large for a page")
    encoding, mark = encoding_of(source.open)
    if encoding == GUESS:
        encoding = declared(data) or GUESS
    return data[mark:].decode(encoding, "replace"), encoding


def declared(data: bytes) -> str | None:
    """The encoding that a page names in its head, None if it names none that is known."""
    found = CHARSET.search(data[:4096])
    if found is None:
        return None
    try:
        codec = codecs.lookup(found[1].decode("ascii", "replace"))
    except LookupError:
        return None
    return codec.name if codec._is_text_encoding else None


def main_text(page: str) -> str:
    """The paragraphs of a page that are text, blank lines between them."""
    blocks = _Blocks(page).blocks
    kept = chosen(blocks)
    return "\n\n".join(block.text for block, keep in zip(blocks, kept, strict=True) if keep)


def whole_text(page: str) -> str:
    """All paragraphs of a page, for one without menus: a chapter of a book."""
    return "\n\n".join(block.text for block in _Blocks(page).blocks)


def chosen(blocks: list[Block]) -> list[bool]:
    """Which blocks are text: first each alone, then the short ones by their neighbours."""
    alone = [_alone(block) for block in blocks]
    kept = [mark == "text" for mark in alone]
    texts = [i for i, keep in enumerate(kept) if keep]
    for before, after in zip(texts, texts[1:], strict=False):
        between = alone[before + 1 : after]
        if "menu" not in between:  # short lines that text surrounds
            kept[before + 1 : after] = [True] * len(between)
    for i in texts:  # the headings just above
        j = i - 1
        while j >= 0 and blocks[j].heading and alone[j] != "menu":
            kept[j] = True
            j -= 1
    return kept


def _alone(block: Block) -> str:
    length = len(block.text)
    if block.linked > LINKS * length:
        return "menu"
    if length >= (SHORT if block.kept else LONG):
        return "text"
    return "short"


class _Blocks:
    """Collects the blocks of a page.

    Tags are found by looking for "<" and the ">" after it: attributes tell us nothing. Python's own
    parser looks again from each "<!--" that nobody closed, and takes minutes for 200 kB of them.
    """

    def __init__(self, page: str) -> None:
        self.blocks: list[Block] = []
        self._open: list[str] = []
        self._dropped = self._links = self._kept = self._pre = 0
        self._text: list[str] = []
        self._linked = 0
        self._heading = False
        self._read(page)
        self._end_block()

    def _read(self, page: str) -> None:
        at = 0
        while at < len(page):
            found = TAG.search(page, at)
            self._data(page[at : found.start() if found else len(page)])
            if found is None:
                return
            ending, name = found[1], (found[2] or "").lower()
            if not name:  # a comment, or what only machines read
                end = page.find("-->" if found[0] == "<!--" else ">", found.end())
            else:
                end = _tag_end(page, found.end())
            if end < 0:
                return
            at = page.index(">", end) + 1
            if ending:
                self._ends(name)
            elif name in RAW:
                closing = RAW[name].search(page, at)
                at = closing.start() if closing else len(page)
            elif name:
                self._starts(name)

    def _starts(self, tag: str) -> None:
        if tag in VOID:
            self._text.append("\n" if tag == "br" and self._pre else " ")
            return
        if len(self._open) >= DEEPEST:
            raise FormatError(f"has more than {DEEPEST} tags inside each other")
        if tag not in INLINE:
            self._end_block()
        self._open.append(tag)
        self._count(tag, 1)
        self._heading = self._heading or tag in HEADINGS

    def _ends(self, tag: str) -> None:
        if tag not in INLINE:
            self._end_block()
        if tag not in self._open:
            return
        while True:  # what its author forgot to close ends here too
            last = self._open.pop()
            self._count(last, -1)
            if last == tag:
                return

    def _count(self, tag: str, by: int) -> None:
        self._dropped += by * (tag in DROPPED)
        self._links += by * (tag == "a")
        self._pre += by * (tag == "pre")
        self._kept += by * (tag in ("main", "article", "pre"))

    def _data(self, data: str) -> None:
        if self._dropped or not data:
            return
        data = html.unescape(data) if "&" in data else data
        self._text.append(data)
        if self._links:
            self._linked += len(SPACE.sub(" ", data))

    def _end_block(self) -> None:
        """What was collected becomes a block."""
        text = "".join(self._text)
        text = text.strip("\n").rstrip() if self._pre else SPACE.sub(" ", text).strip()
        if text:
            self.blocks.append(Block(text, self._linked, self._heading, self._kept > 0))
        self._text, self._linked, self._heading = [], 0, False


def _tag_end(page: str, at: int) -> int:
    """Where the tag ends whose name ends at `at`, -1 if it does not: a ">" in quotes is none."""
    end = at
    for _ in range(8):
        end = page.find(">", end)
        inside = page[at : max(end, at)]
        if end < 0 or not (inside.count('"') % 2 or inside.count("'") % 2):
            return end
        end += 1
    return page.find(">", at)
