"""Documents that hold what a model will be examined with: they go, or the mark is for memory.

The items of a file (a line each; of .jsonl all its strings) are cut into n-grams of words,
normalised as for near-duplicates; a document that shares one is dropped. n is 13, as for GPT-3; an
item of fewer words is looked for whole, if it has at least LEAST.

Source: Brown et al. 2020 (arXiv 2005.14165), appendix C.  Read next: judging.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.ops.minhash import shingle_hashes
from tinygpt.curation.near import normalized
from tinygpt.errors import UsageError
from tinygpt.storage.paths import shown
from tinygpt.text.reading import read_text

LEAST = 5  # words: a shorter item stands in texts by chance


class Items:
    """The n-grams of evaluation items.  counts: words -> sorted hashes of n-grams of so many."""

    def __init__(self, texts: list[str], n: int):
        found: dict[int, list[np.ndarray]] = {}
        for text in texts:
            data = normalized(text)
            words = len(bytes(data).split())
            if words >= LEAST:
                found.setdefault(min(n, words), []).append(shingle_hashes(data, n))
        self.counts = {
            words: np.unique(np.concatenate(hashes)) for words, hashes in sorted(found.items())
        }

    def touch(self, text: str) -> bool:
        """Whether a text holds an n-gram of an item."""
        data = normalized(text)
        return any(
            _one_is_in(shingle_hashes(data, words), hashes)
            for words, hashes in self.counts.items()
        )


def _one_is_in(hashes: np.ndarray, ordered: np.ndarray) -> bool:
    at = np.minimum(np.searchsorted(ordered, hashes), len(ordered) - 1)
    return bool((ordered[at] == hashes).any())


def load(path: Path, n: int) -> Items:
    """The items of a file.  Raises UsageError for one without any."""
    texts = [text for text in _texts(path) if text.strip()]
    items = Items(texts, n)
    if not items.counts:
        raise UsageError(
            f"{shown(path)} holds no item of {LEAST} words. Give a line of text, or a JSON object, "
            "for each question."
        )
    return items


def _texts(path: Path) -> Iterator[str]:
    for line in read_text(path).split("\n"):
        if path.suffix.lower() == ".jsonl" and line.strip():
            yield from _strings(json.loads(line))
        else:
            yield line


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)
