"""Where text comes from: our own stories, Python's standard library, or the user's files.

A corpus is a list of documents that can be read again and again, each in pieces of a few megabytes,
so that nothing here ever holds a whole corpus in memory. files.py finds the user's files,
reading.py reads them.

Read next: split.py.
"""

from __future__ import annotations

import hashlib
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from tinygpt.storage.paths import expand, shown
from tinygpt.storage.reading import signed
from tinygpt.text import curated
from tinygpt.text.files import STDIN, TextFile, find
from tinygpt.text.files import DataError as DataError
from tinygpt.text.reading import kept, pieces, raw_blocks

CORPORA = ("stories", "python", "python+tests")  # those that need no file
KEEP = 64 << 20  # bytes of generated text worth keeping in memory
END = b"<|endoftext|>"  # what other programs' corpora have between documents
NOT_LIBRARY = {"site-packages", "dist-packages", "__pycache__", "lib-dynload"}
TESTS = {"test", "tests", "idle_test"}


@dataclass(frozen=True)
class Document:
    """A text with a name; `pieces()` yields it from the start, a few megabytes at a time.

    split: the one that it was given when its corpus was made, None if it is still to be dealt.
    language: as its corpus says, None if it does not.  part: of a mixture (mixture.py).
    """

    name: str
    pieces: Callable[[], Iterator[str]]
    split: str | None = None
    language: str | None = None
    part: int = 0

    @property
    def text(self) -> str:
        return "".join(self.pieces())


@dataclass(frozen=True)
class Corpus:
    """Documents in a fixed order; iterating starts over each time.

    fingerprint: changes when the text changes; prepared tokens are reused while it stays.
    notes: sentences that whoever learns from it should hear, such as what was left out.
    parts: what a mixture is made of, () for another.
    """

    name: str
    documents: Callable[[], Iterator[Document]]
    fingerprint: str
    notes: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Document]:
        return self.documents()


def load_corpus(
    source: str | Path,
    *,
    seed: int = 0,
    stories_mb: float = 8.0,
    errors: str = "strict",
) -> Corpus:
    """The corpus that `source` names.

    source: "stories", "python", "python+tests", or the path of a text file or a folder of them, or
        "-" for standard input.
    seed, stories_mb: for the stories: the generator's seed, and millions of characters to write.
    errors: what to do with bytes that are not UTF-8: "strict" raises, "replace" puts U+FFFD.
    Raises DataError for a path that is not there, a folder without text, what is not plain text.
    """
    if source not in CORPORA:
        return files_corpus(source, errors)
    if source == "stories":
        corpus = stories_corpus(stories_mb, seed)
    else:
        corpus = python_corpus(include_tests=source == "python+tests")
    if Path(source).exists():
        note = f"{source} is this program's own text; to learn from what is here, say ./{source}."
        corpus = replace(corpus, notes=(note,))
    return corpus


def stories_corpus(megabytes: float, seed: int) -> Corpus:
    """`megabytes` million characters of generated stories; same seed, same bytes."""
    from tinygpt.text import stories

    if not megabytes > 0:
        raise DataError(f"data.stories_mb = {megabytes} must be above 0. Try 8.")
    size = max(1, int(megabytes * 1e6))

    written: list[str] = []  # kept when small: writing them costs a second for every 4 MB

    def documents() -> Iterator[Document]:
        texts: Iterable[str] = written
        if not written:
            texts = stories.generate(size, np.random.default_rng(seed))
            if size <= KEEP:
                written.extend(texts)
                texts = written
        for number, text in enumerate(texts):
            yield Document(f"story {number}", partial(_whole, text))

    code = hashlib.blake2b(f"{size} {seed} ".encode())
    for path in sorted(Path(stories.__file__).parent.rglob("*.py")):
        # Another generator writes other stories. Comments count too: runs that began before have
        # this fingerprint in their checkpoints, so its sources change only when the stories do.
        code.update(path.read_bytes())
    return Corpus("stories", documents, code.hexdigest()[:32])


def _whole(text: str) -> Iterator[str]:
    yield text


def python_corpus(include_tests: bool = False) -> Corpus:
    """The standard library of the running interpreter, in sorted order, without site-packages."""
    root = Path(sysconfig.get_paths()["stdlib"])
    skip = NOT_LIBRARY if include_tests else NOT_LIBRARY | TESTS
    paths = [
        path
        for path in sorted(root.rglob("*.py"))
        if not skip.intersection(path.relative_to(root).parts[:-1])
    ]
    if not paths:
        raise DataError(
            f"no library sources in {root}: this Python was installed without them. "
            "Use --data stories, or a folder of your own."
        )
    # A handful of its test files are in other encodings on purpose.
    files = [TextFile(p.relative_to(root).as_posix(), str(p), p) for p in paths]
    return _from_files("python", [file for file in files if _is_utf8(file)], "strict")


def files_corpus(source: str | Path, errors: str = "strict") -> Corpus:
    """A text file, a pipe or standard input ("-"), or the texts below a folder, in sorted order."""
    if errors not in ("strict", "replace"):
        raise DataError(f'errors = {errors!r} is not known. Use "strict" or "replace".')
    made = None if source in STDIN else curated_corpus(Path(expand(source)))
    if made is not None:
        return made
    name, files, notes = find(source)
    return _from_files(name, [kept(file) for file in files], errors, notes)


def curated_corpus(folder: Path) -> Corpus | None:
    """What `tinygpt curate` made in a folder, None for another.  Raises DataError if damaged."""
    manifest = curated.manifest_of(folder)
    if manifest is None:
        return None
    counts = {name: split["documents"] for name, split in manifest["splits"].items()}
    if not sum(counts.values()):
        raise DataError(
            f"{shown(folder)} is a corpus without documents: all were dropped. `tinygpt curate "
            f"--out {shown(folder)} --why NAME` says why; draw the limits elsewhere with --rules."
        )

    def documents() -> Iterator[Document]:
        for one in curated.documents(folder, manifest):
            yield Document(one.name, partial(_whole, one.text), one.split, one.language)

    note = f"split by `tinygpt curate`: {', '.join(f'{n:,} {name}' for name, n in counts.items())}."
    return Corpus(folder.name, documents, signed(manifest)["sha256"][:32], (note,))


def _from_files(
    name: str, files: list[TextFile], errors: str, notes: Sequence[str] = ()
) -> Corpus:
    def documents() -> Iterator[Document]:
        for file in files:
            yield Document(file.name, partial(pieces, file, errors))

    digest = hashlib.blake2b(errors.encode())
    total = ends = 0
    for file in files:
        digest.update(b"\0" + file.name.encode("utf-8", "surrogateescape") + b"\0")
        before = b""
        for block in raw_blocks(file):
            digest.update(block)
            total += len(block)
            ends += (before + block).count(END)
            before = (before + block)[1 - len(END) :]
    if total == 0:
        raise DataError(f"{name} is empty: {len(files)} file(s), 0 bytes. Give some text.")
    if ends:
        notes = [*notes, (
            f"{END.decode()} stands {ends:,} times in {name} and is learned as ordinary "
            "characters. Documents are told apart where each is a file of its own in a folder."
        )]
    return Corpus(name, documents, digest.hexdigest()[:32], tuple(notes))


def _is_utf8(file: TextFile) -> bool:
    try:
        for _ in pieces(file):
            pass
    except DataError:
        return False
    return True
