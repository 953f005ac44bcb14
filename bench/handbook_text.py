"""A chapter of a handbook made into questions and answers by rules, for a real model to learn.

    missing    Which word is missing here: "Packages that are ____ cannot be installed."?
    goes on    How does this go on: "A package is called ..."?
    heading    Under which heading stands: "..."?

The pages are HTML as DocBook makes it: of the Debian FAQ, whose package `fetch` downloads and which
is not part of this project. A sentence gives a question by each rule that fits it, so that what is
held out has been seen from another side, as a text is by whoever reads it twice.

Read next: handbook.py.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinygpt.text.conversations import Conversation, asked

PACKAGE = "debian-faq"
PAGES = ("ftparchives.en.html", "pkg-basics.en.html", "pkgtools.en.html")  # its chapters 6 to 8
SENTENCE = re.compile(r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.) (?=[A-Z\"])")
NUMBER = re.compile(r"^(Chapter )?[\d.]+ ")  # of a heading
LEAST, MOST = 8, 40  # words of a sentence
BLANK = "____"


class Sentence(NamedTuple):
    """text: in one line.  heading: of its section.  terms: what the page sets apart in it."""

    text: str
    heading: str
    terms: tuple[str, ...]


class _Page(HTMLParser):
    """Paragraphs under their headings, and the words in <strong> and <code>."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, tuple[str, ...]]] = []  # heading, paragraph, terms
        self._heading, self._within = "", ""
        self._text: list[str] = []
        self._terms: list[str] | None = None
        self._all_terms: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("h1", "h2", "h3", "h4", "p"):
            self._within, self._text, self._all_terms = tag, [], []
        elif tag in ("strong", "code"):
            self._terms = []

    def handle_data(self, data: str) -> None:
        self._text.append(data)
        if self._terms is not None:
            self._terms.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("strong", "code") and self._terms is not None:
            self._all_terms.append(_line(self._terms))
            self._terms = None
        elif tag == self._within:
            text, self._within = _line(self._text), ""
            if tag == "p":
                self.found.append((self._heading, text, tuple(self._all_terms)))
            else:
                self._heading = NUMBER.sub("", text)


def _line(parts: Sequence[str]) -> str:
    return " ".join("".join(parts).split())


def sentences(page: str) -> list[Sentence]:
    """The whole sentences of a page of HTML that are neither short nor long."""
    parser = _Page()
    parser.feed(page)
    found = []
    for heading, paragraph, terms in parser.found:
        for text in SENTENCE.split(paragraph):
            if heading and LEAST <= len(text.split()) <= MOST and _whole(text):
                inside = tuple(term for term in terms if text.count(term) == 1)
                found.append(Sentence(text, heading, inside))
    return found


def _whole(text: str) -> bool:
    """Whether a sentence was cut at its ends: none begins low, or leaves something open."""
    even = text.count('"') % 2 == 0 and text.count("(") == text.count(")")
    return text[0].isupper() and text[-1] in ".!?" and even and text.count("“") == text.count("”")


def questions(sentence: Sentence) -> Iterator[Conversation]:
    """One by each rule that fits."""
    text, words = sentence.text, sentence.text.split()
    for term in sentence.terms[:1]:
        gap = text.replace(term, BLANK)
        yield asked(f'Which word is missing in the Debian FAQ here: "{gap}"?', term)
    half = len(words) // 2
    begun, rest = " ".join(words[:half]), " ".join(words[half:])
    yield asked(f'How does the Debian FAQ go on here: "{begun} ..."?', rest)
    yield asked(
        f'Under which heading of the Debian FAQ stands: "{" ".join(words[:LEAST])} ..."?',
        sentence.heading,
    )


def conversations(pages: Sequence[str], count: int, seed: int) -> list[Conversation]:
    """`count` questions on pages of HTML, in any order.

    Raises ValueError if the pages give fewer.
    """
    found = [one for page in pages for said in sentences(page) for one in questions(said)]
    if len(found) < count:
        raise ValueError(f"handbook: {count} questions of pages that give {len(found)}")
    chosen = np.random.default_rng(seed).permutation(len(found))[:count]
    return [found[i] for i in chosen]


def fetch(folder: Path) -> list[str]:
    """The pages of the Debian package, downloaded into a folder unless they are there.

    Raises CalledProcessError where apt-get or dpkg-deb fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob(f"{PACKAGE}_*.deb")):
        subprocess.run(["apt-get", "-q", "download", PACKAGE], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL)
    archive = sorted(folder.glob(f"{PACKAGE}_*.deb"))[-1]
    subprocess.run(["dpkg-deb", "-x", archive.name, "."], cwd=folder, check=True)
    return [(folder / "usr/share/doc/debian/FAQ" / name).read_text("utf-8") for name in PAGES]
