"""Second stage, over all parts: what only the whole can tell about one document.

    survey.json       the commonest words of each language, where each part's documents begin
    firsts.npy        (documents,) int64: the first document that equals each
    gone-N.npy        exact.UNIT: paragraphs and lines of a part that are furniture

Read next: judging.py.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from typing import Any

import numpy as np

from tinygpt.curation import exact
from tinygpt.curation.rules.view import ENDS
from tinygpt.curation.work import Work
from tinygpt.storage.durable import replace_file


def survey(work: Work) -> None:
    """Make what this stage leaves."""
    words: dict[str, Counter[str]] = {}
    bases, total = [], 0
    for part in range(work.parts):
        summary = json.loads(work.path("read", part, ".json").read_text("utf-8"))
        bases.append(total)
        total += summary["documents"]
        for language, counts in summary["words"].items():
            words.setdefault(language, Counter()).update(dict(counts))
    digests = [work.load("digests", part) for part in range(work.parts)]
    firsts = exact.first_of_equals(np.concatenate(digests or [np.empty((0, 2), np.uint64)]))
    rules = work.settings.of("exact")
    if not rules["documents"]:
        firsts = np.arange(total)
    most = (rules["paragraphs"] or 1 << 32, rules["lines"] or 1 << 32)
    units = [partial(work.load, "units", part, True) for part in range(work.parts)]
    for part, gone in enumerate(exact.furniture(units, firsts, bases, most)):
        work.save("gone", part, np.concatenate(gone or [np.empty(0, exact.UNIT)]))
    work.save("firsts", None, firsts)
    count = work.settings.of("gopher.stop_words")["count"]
    common = {language: commonest(counts, count) for language, counts in words.items()}
    made: dict[str, Any] = {"common": common, "bases": bases, "documents": total}
    replace_file(work.path("survey", suffix=".json"), json.dumps(made, ensure_ascii=False))


def commonest(counts: Counter[str], count: int) -> list[str]:
    """The commonest words without punctuation, ties in the order of the alphabet."""
    stripped: Counter[str] = Counter()
    for word, n in counts.items():
        if any(c.isalpha() for c in word):
            stripped[word.strip(ENDS)] += n
    return [word for word, _ in sorted(stripped.items(), key=lambda i: (-i[1], i[0]))][:count]
