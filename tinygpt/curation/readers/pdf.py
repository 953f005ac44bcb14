"""PDF, by pypdf (pip install pypdf) in a process of its own with a limit on time and memory.

A PDF is a program that draws: some draw for minutes and gigabytes (pypdf 2790: one page, 3.7 GB).
So what reads it may be ended at any time, and its pages are on their way out as soon as each is
read. Pages come with "\\f" between them, so that ../clean.py finds headers and footers; lines that
fill the page's width go on in the next one, for a PDF has lines and no paragraphs.

Read next: pdf_child.py.
"""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tinygpt.curation.readers import Read, Refused
from tinygpt.curation.source import Source
from tinygpt.storage.reading import FormatError

SECONDS = 25  # of computing for a whole file; then what was read until then is what it says
LATEST = 100  # by the clock: beside other programs a file must not become a shorter document
MEGABYTES = 400
WIDE = 0.75  # of the page's longer lines: from there a line goes on
CHILD = Path(__file__).with_name("pdf_child.py")


def read(source: Source) -> Iterator[Read | Refused]:
    """The file as one document.  Raises FormatError for one that nothing could be read of."""
    if importlib.util.find_spec("pypdf") is None:
        raise FormatError("needs pypdf, which is not installed: `pip install pypdf`")
    with source.whole() as path:
        out, why = _printed(path)
    pages: list[str] = []
    for line in out.split(b"\n")[:-1]:
        row = json.loads(line)
        if "error" in row:
            why = str(row["error"])
        else:
            pages.append(unwrapped(row["page"]))
    text = "\n\f".join(pages)
    if not text.strip():
        raise FormatError(f"holds no text that can be read ({why or 'pictures alone, perhaps'})")
    yield Read("", text, "pdf")
    if why:
        yield Refused(0, f"was read up to page {len(pages)} ({why})")


def _printed(path: Path) -> tuple[bytes, str]:
    """(what the other process printed, why it did not come to the file's end or "")."""
    command = [sys.executable, "-I", str(CHILD), str(path), str(MEGABYTES), str(SECONDS)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            timeout=LATEST, check=False,
        )
    except subprocess.TimeoutExpired as late:
        return late.stdout or b"", f"took more than {LATEST} s"
    if done.returncode == 0:
        return done.stdout, ""
    if done.returncode == -getattr(signal, "SIGXCPU", 0):
        return done.stdout, f"takes more than {SECONDS} s of computing"
    return done.stdout, f"ended with {done.returncode}"


def unwrapped(page: str) -> str:
    """A page whose paragraphs are lines: a line that fills the width goes on in the next."""
    lines = [line.strip() for line in page.split("\n")]
    widths = sorted(len(line) for line in lines if line)
    if not widths:
        return ""
    wide = WIDE * widths[int(0.9 * (len(widths) - 1))]
    made = ""
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        goes_on = line and after and len(line) >= wide
        made += line + ("\n" if not goes_on or line.endswith("-") else " ")
    return made.rstrip("\n")
