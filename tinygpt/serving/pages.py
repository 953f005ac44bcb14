"""The files of the pages, read once: small enough to be kept, packed for a weak Wi-Fi.

Read next: page/main.js (chat), page/look.js (the screens of ../inside).
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "page"
ADDRESSES = {"index.html": "/", "look.html": "/look"}  # of pages; the rest is at /page/
KINDS = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class File:
    """What a browser gets.  tag: changes with the content, so that an old copy is known as such."""

    kind: str
    content: bytes
    packed: bytes
    tag: str


@cache
def files() -> dict[str, File]:
    """By the path of their address; pages have one of their own."""
    return files_of(FOLDER, ADDRESSES)


def files_of(folder: Path, addresses: Mapping[str, str]) -> dict[str, File]:
    """The files of a folder by the path of their address.

    addresses: of pages; the rest is at /page/.
    """
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in KINDS:
            content = path.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
            where = addresses.get(path.name, f"/page/{path.name}")
            packed = gzip.compress(content, 9, mtime=0)
            found[where] = File(KINDS[path.suffix], content, packed, tag)
    return found
