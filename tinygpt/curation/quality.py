"""What is worth learning from, as you judge it: good examples, and bad ones or damaged good ones.

    quality/accept/...  quality/reject/...    the second may be missing

The same classifier as for languages, with two classes. Without rejected texts it learns to tell
accepted ones from their own corruptions: words in another order, letters changed, words left out
and doubled, columns cut through. What passes the rules and reads like that is what they miss.

Read next: judging.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tinygpt.curation import classifier
from tinygpt.curation.language import examples_of, passages_of
from tinygpt.curation.work import Work
from tinygpt.errors import UsageError
from tinygpt.storage.paths import shown

MODEL = "quality"
ACCEPT, REJECT = "accept", "reject"


def scorer(work: Work) -> Callable[[str], float] | None:
    """A function from a text to the probability that it is accepted; None without examples."""
    path = work.path(MODEL, suffix=".model")
    if not path.is_file():
        return None
    model = classifier.load(path)
    place = model.classes.index(ACCEPT)
    return lambda text: float(model.probabilities_of(classifier.prepared(text))[place])


def train(folder: Path, seed: int = 0) -> classifier.Classifier:
    """A classifier of a folder's examples.  Raises UsageError."""
    if not (folder / ACCEPT).is_dir():
        raise UsageError(f"{shown(folder)} has no folder `{ACCEPT}`. Put good texts there.")
    if (folder / REJECT).is_dir():
        return classifier.train(examples_of(folder), seed)
    good = passages_of(folder / ACCEPT)
    rng = np.random.default_rng(seed)
    kinds = sorted(CORRUPTIONS)
    bad = [CORRUPTIONS[kinds[i % len(kinds)]](text, rng) for i, text in enumerate(good)]
    return classifier.train({ACCEPT: good, REJECT: bad}, seed)


def shuffled(text: str, rng: np.random.Generator) -> str:
    """Its words in another order."""
    return " ".join(rng.permutation(text.split()).tolist())


def misspelt(text: str, rng: np.random.Generator) -> str:
    """A fifth of its letters another of its letters."""
    letters = list(text)
    for i in np.flatnonzero(rng.random(len(letters)) < 0.2):
        letters[i] = letters[rng.integers(len(letters))]
    return "".join(letters)


def torn(text: str, rng: np.random.Generator) -> str:
    """Two columns read as one: its halves, a few letters of each in turn."""
    middle, width = len(text) // 2, int(rng.integers(4, 12))
    rows = range(0, middle, width)
    return " ".join(f"{text[i : i + width]} {text[middle + i : middle + i + width]}" for i in rows)


def doubled(text: str, rng: np.random.Generator) -> str:
    """Words left out, and others said again."""
    kept: list[str] = []
    for word in text.split():
        kept += [word] * int(rng.choice([0, 1, 3], p=[0.3, 0.4, 0.3]))
    return " ".join(kept)


CORRUPTIONS = {"shuffled": shuffled, "misspelt": misspelt, "torn": torn, "doubled": doubled}
