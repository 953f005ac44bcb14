"""Which language a document is in: the classifier of classifier.py, taught by folders of examples.

    languages/en/...  languages/yo/...      a folder of texts for each, named as the language is

Nothing is downloaded and nothing is guessed: without examples every document is "und" (ISO 639:
undetermined), and what no example is like is "und" too. Rules that need a language then wait.

Read next: quality.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from tinygpt.curation import classifier, readers
from tinygpt.curation.clean import clean
from tinygpt.curation.source import find
from tinygpt.curation.work import Work
from tinygpt.errors import UsageError
from tinygpt.storage.paths import shown

UNKNOWN = "und"
MODEL = "language"
PASSAGE = 300  # characters of an example, about
MOST = 1500  # examples of a class
Identify = Callable[[str], tuple[str, float]]


def identifier(work: Work) -> Identify:
    """A function from a text to (language, probability in 0..1)."""
    path = work.path(MODEL, suffix=".model")
    if not path.is_file():
        return lambda text: (UNKNOWN, 0.0)
    model, least = classifier.load(path), work.settings.of("language")["least_score"]

    def identify(text: str) -> tuple[str, float]:
        language, score = model(text)
        return (language if language and score >= least else UNKNOWN), score

    return identify


def examples_of(folder: Path) -> dict[str, list[str]]:
    """Class -> passages, of the folders in a folder.

    Raises UsageError for a folder without folders of texts.
    """
    classes = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    examples = {path.name: passages_of(path) for path in classes}
    if len(examples) < 2 or not all(examples.values()):
        empty = ", ".join(
            f"{name}{_why_empty(folder / name)}" for name, found in examples.items() if not found
        ) or "too few"
        raise UsageError(
            f"{shown(folder)} must hold a folder of texts for each of two classes or more, named "
            f"as the class is (without texts: {empty})."
        )
    return examples


def _why_empty(folder: Path) -> str:
    """What lies there and is not read, such as links to folders, in brackets."""
    left = find(folder, set(readers.READERS), folder / "no output").left
    return f" ({left[0][0]}: {left[0][2]})" if left else ""


def passages_of(folder: Path) -> list[str]:
    """At most MOST passages of the texts below a folder, spread over all of it."""
    found = [
        passage
        for source in find(folder, set(readers.READERS), folder / "no output").sources
        for one in readers.read(source) if isinstance(one, readers.Read)
        for passage in passages(clean(one.text))
    ]
    step = max(1, len(found) // MOST)
    return found[::step][:MOST]


def passages(text: str) -> Iterator[str]:
    """A text in pieces of about PASSAGE characters, cut between lines."""
    held = ""
    for line in text.split("\n"):
        held += f" {line.strip()}"
        if len(held) >= PASSAGE:
            yield held[: 2 * PASSAGE].strip()
            held = ""
    if len(held) >= PASSAGE // 3:
        yield held.strip()
