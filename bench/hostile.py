"""Files that are made to harm, and a curation that must come through: named, none slow, none fatal.

    python -m bench hostile --files 500        bombs, truncations, loops of links, nests, noise
    python -m bench hostile --kills 50         kill -9 at random moments, then the same bytes

Each file of the first is one of the KINDS with a seed of its own. Good texts lie between them, and
all must be kept. Read next: curate.py.
"""

from __future__ import annotations

import gzip
import io
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from bench.curate import polluted, tales, write
from tinygpt.curation import Account, curate

Rng = np.random.Generator
LOL = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))


def packed(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def docx(body: str, head: str = "") -> bytes:
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    xml = (
        f'<?xml version="1.0"?>{head}<w:document xmlns:w="{space}"><w:body>{body}</w:body>'
        "</w:document>"
    )
    return packed({"[Content_Types].xml": b"<Types/>", "word/document.xml": xml.encode()})


def bomb() -> bytes:
    """300 MB of spaces in a Word file, written in pieces: a peak of memory here would be taken for
    that of the processes that are started later."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("word/document.xml", "w") as file:
            for _ in range(300):
                file.write(b" " * 1_000_000)
    return buffer.getvalue()


def broken(data: bytes, rng: Rng) -> bytes:
    """Cut off, or with bytes changed."""
    if rng.integers(2):
        return data[: int(rng.integers(1, len(data)))]
    made = bytearray(data)
    for at in rng.integers(0, len(data), 20):
        made[at] = rng.integers(256)
    return bytes(made)


def paragraph(rng: Rng) -> str:
    return f"<w:p><w:r><w:t>A line of text, number {rng.integers(1e6)}.</w:t></w:r></w:p>" * 30


KINDS: dict[str, Callable[[Rng], bytes]] = {
    "bomb.docx": lambda rng: bomb(),
    "entities.docx": lambda rng: docx("&l9;", f'<!DOCTYPE b [<!ENTITY l0 "ha">{LOL}]>'),
    "outside.docx": lambda rng: docx("&x;", '<!DOCTYPE b [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
    "nested.docx": lambda rng: docx("<w:p>" * 100_000),
    "broken.docx": lambda rng: broken(docx(paragraph(rng)), rng),
    "empty.epub": lambda rng: packed({"mimetype": b"application/epub+zip"}),
    "broken.epub": lambda rng: broken(packed({"META-INF/container.xml": b"<container/>"}), rng),
    "self.epub": lambda rng: packed({"META-INF/container.xml": (
        b'<container><rootfiles><rootfile full-path="../../../etc/passwd"/></rootfiles></container>'
    )}),
    "bomb.txt.gz": lambda rng: gzip.compress(bytes(30_000_000), 9),
    "twice.txt.gz": lambda rng: gzip.compress(gzip.compress(b"text " * 1000)),
    "broken.txt.gz": lambda rng: broken(gzip.compress(rng.bytes(4000)), rng),
    "bomb.pdf.gz": lambda rng: gzip.compress(b"%PDF-1.7\n" + bytes(100_000_000), 9),
    "broken.docx.gz": lambda rng: broken(gzip.compress(docx(paragraph(rng))), rng),
    "nested.jsonl": lambda rng: b"[" * 200_000,
    "deep.jsonl": lambda rng: b'{"text":' * 5000 + b'""' + b"}" * 5000,
    "halves.jsonl": lambda rng: b'{"text": "\\ud800 a half of a pair \\udc00 and more"}\n' * 9,
    "numbers.jsonl": lambda rng: b'{"text": ' + b"9" * 100_000 + b"}\n" + b'{"text": NaN}\n',
    "broken.jsonl": lambda rng: broken(b'{"text": "some text that is fine"}\n' * 40, rng),
    "nulls.csv": lambda rng: b"id,text\n" + b"1,\0\0\0\n" * 50,
    "quotes.csv": lambda rng: b'id,text\n1,"' + b"never closed " * 5000,
    "wide.csv": lambda rng: b"," * 200_000 + b"\n",
    "nested.html": lambda rng: b"<div>" * 100_000 + b"text",
    "tables.html": lambda rng: b"<table><tr><td>" * 20_000,
    "attributes.html": lambda rng: b"<a " + b"x=1 " * 200_000 + b">text",
    "comment.html": lambda rng: b"<!--" * 50_000,
    "entity.html": lambda rng: b"&#x110000;&#xd800;&bogus;" * 5000,
    "script.html": lambda rng: b"<script>" + b"while(1);" * 20_000,
    "broken.html": lambda rng: broken(b"<p>Some text in a page.</p>" * 99, rng),
    "one line.txt": lambda rng: b"a" * 3_000_000,
    "at.txt": lambda rng: b"a@" * 100_000,
    "digits.txt": lambda rng: b"1 " * 200_000,
    "colons.txt": lambda rng: b"a:" * 200_000,
    "hyphens.txt": lambda rng: b"a-\n" * 100_000,
    "pages.txt": lambda rng: b"\f\n" * 100_000,
    "marks.txt": lambda rng: ("e" + "\u0301" * 200_000).encode(),
    "odd.txt": lambda rng: b"\xff\xfe" + rng.bytes(9001),
    "noise.txt": lambda rng: rng.bytes(20_000),
    "noise.parquet": lambda rng: b"PAR1" + rng.bytes(5000) + b"PAR1",
    "noise.pdf": lambda rng: b"%PDF-1.7\n" + rng.bytes(5000),
    "loop.pdf": lambda rng: (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[2 0 R]/Count 1>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
    ),
}


def hostile(folder: Path, count: int) -> int:
    """Make `count` such files, links that lead in a circle, and good texts; returns how many."""
    folder.mkdir(parents=True)
    kinds = sorted(KINDS)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        stem, _, suffix = kind.partition(".")
        data = KINDS[kind](np.random.default_rng(number))
        (folder / f"{stem} {number}.{suffix}").write_bytes(data)
    (folder / "circle").symlink_to(folder, target_is_directory=True)
    (folder / "nowhere.txt").symlink_to(folder / "not there")
    os.mkfifo(folder / "pipe.txt")
    good = tales(40, 3)
    for number, text in enumerate(good):
        (folder / f"good {number}.txt").write_text(text)
    return len(good)


def survive(where: Path, count: int) -> None:
    good = hostile(where / "in", count)
    slowest: list[tuple[float, str]] = []
    last = [time.perf_counter(), ""]

    def heard(what: str, done: float, total: float) -> None:
        slowest.append((time.perf_counter() - last[0], last[1]))
        last[:] = time.perf_counter(), f"{what} {done}"

    started = time.perf_counter()
    curate(where / "in", where / "out", workers=2, progress=heard)
    account = Account(where / "out")
    named = {row["name"] for row in account.rows("SELECT name FROM files")}
    fates = account.rows("SELECT fate, COUNT(*) AS n FROM files GROUP BY fate")
    kept = account.rows("SELECT name FROM documents WHERE fate = 'kept' AND name LIKE 'good%'")
    account.close()
    files = {path.name for path in (where / "in").iterdir()}
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    click.echo(
        f"{len(files):,} files in {time.perf_counter() - started:.1f} s, 0 crashes; not in the "
        f"account: {sorted(files - named) or 'none'}; {[(r['fate'], r['n']) for r in fates]}"
    )
    click.echo(f"good texts kept: {len(kept)} of {good}; the largest process {peak:.0f} MiB; the "
               f"longest without a word {max(slowest)[0]:.1f} s ({max(slowest)[1]})")


def killed(where: Path, kills: int) -> None:
    rng = np.random.default_rng(0)
    write(where / "in", polluted(tales(400, 1), 1))
    started = time.perf_counter()
    curate(where / "in", where / "whole")
    whole = time.perf_counter() - started
    command = [sys.executable, "-m", "tinygpt", "curate", str(where / "in"), "--workers", "1"]
    done = 0
    for number in range(kills):
        out = where / f"killed {number % 5}"
        process = subprocess.Popen([*command, "--out", str(out)], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        try:
            process.wait(float(rng.uniform(0.3, 1.0 + 1.2 * whole)))
        except subprocess.TimeoutExpired:
            done += 1
            process.send_signal(signal.SIGKILL)
            process.wait()
        if number >= kills - 5 or rng.random() < 0.2:
            subprocess.run([*command, "--out", str(out)], check=True, stdout=subprocess.DEVNULL)
            same = all(
                (where / "whole" / path.name).read_bytes() == path.read_bytes()
                for path in out.iterdir()
            ) and len(list(out.iterdir())) == len(list((where / "whole").iterdir()))
            if not same:
                raise click.ClickException(f"other bytes after kill {number}")
            shutil.rmtree(out)
    click.echo(f"{done} of {kills} were killed before their end; every corpus had the same bytes")


@click.command()
@click.option("--files", default=500, show_default=True)
@click.option("--kills", default=0, help="Kill so often instead.")
def command(files, kills):
    """A curation among hostile files, or killed again and again."""
    where = Path(tempfile.mkdtemp(prefix="tinygpt-hostile-"))
    try:
        if kills:
            killed(where, kills)
        else:
            survive(where, files)
    finally:
        shutil.rmtree(where)
