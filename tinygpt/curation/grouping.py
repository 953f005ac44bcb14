"""Fourth stage, over all parts: what is like what, and which split each document goes to.

Documents are numbered anew in order of preference (the longer first, then by place), for of copies
the preferred stays. A document is dropped only if one that stays is at least near.remove like it,
so no chain of small steps takes what is like nothing that is left. Clusters are wider, for the
split: all that is joined by pairs of at least near.together.

Then the proof, before the splits are dealt: a second search with other hash functions and looser
bands looks for pairs alike in different clusters, and joins the clusters of what it finds. (Were it
to look only across splits, a later document that moves one of a pair could move the other.)

    fates.npy      (documents,) FATE: the near-duplicate each repeats, its cluster and its split
    leaks.json     what the proof looked at and found

Read next: split.py, writing.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from tinygpt.curation import near, split
from tinygpt.curation.work import Work, read_row
from tinygpt.storage.durable import replace_file
from tinygpt.text.split import SPLITS

FATE = np.dtype([("copy_of", "<i8"), ("cluster", "<i8"), ("split", "i1")])
NOBODY = -1
HELD = 4096  # documents whose shingles are kept in memory while pairs are compared


def group(work: Work) -> None:
    """Make what this stage leaves."""
    pool = _Pool(work)
    limits, table = work.settings.of("near"), work.settings.of("split")
    fractions = [table[name] for name in SPLITS]
    count = len(pool.documents)
    copies, clusters = np.full(count, NOBODY), near.UnionFind(count)
    compared = 0
    if limits["on"]:
        copies, compared = _copies(pool, clusters, limits)
    left = copies == NOBODY
    leaks = {"compared": compared, "looked_at_again": 0, "joined": 0}
    if limits["on"]:
        leaks["looked_at_again"], leaks["joined"] = _joined(pool, clusters, left, limits)
    names = clusters.names()
    place = split.places(pool.digests, names)
    chosen = np.full(count, NOBODY)
    chosen[left] = split.deal(place[left], names[left], fractions)
    fates = np.empty(pool.total, FATE)
    fates["copy_of"], fates["cluster"], fates["split"] = NOBODY, NOBODY, NOBODY
    repeated = copies != NOBODY
    fates["copy_of"][pool.documents[repeated]] = pool.documents[copies[repeated]]
    fates["cluster"][pool.documents] = pool.documents[names]
    fates["split"][pool.documents] = chosen
    replace_file(work.path("leaks", suffix=".json"), json.dumps(leaks))
    work.save("fates", None, fates)


class _Pool:
    """The documents that were kept, in order of preference.

    documents: (kept,) their numbers in the corpus.  digests: (kept, 2).  total: of all documents.
    """

    def __init__(self, work: Work):
        self.work, self.total = work, 0
        documents, sizes, digests, homes, places = [], [], [], [], []
        for part in range(work.parts):
            alive = work.load("alive", part)
            documents.append(self.total + alive["document"].astype(np.int64))
            sizes.append(alive["bytes"])
            places.append(alive["place"])
            digest = work.load("digests", part)
            digests.append(digest[alive["document"]])
            homes.append(np.full(len(alive), part))
            self.total += len(digest)
        self.order = np.lexsort((np.concatenate(documents), -np.concatenate(sizes)))
        self.documents = np.concatenate(documents)[self.order]
        self.digests = np.concatenate(digests)[self.order]
        self._home = np.concatenate(homes)[self.order]
        self._place = np.concatenate(places)[self.order]
        self.shingles = lru_cache(HELD)(self._shingles)

    def keys(self, band: int) -> np.ndarray:
        """(kept,) uint64: the keys of one band."""
        parts = (self.work.load("keys", part, mapped=True)[band] for part in range(self.work.parts))
        return np.concatenate([np.asarray(part) for part in parts])[self.order]

    def _shingles(self, i: int) -> np.ndarray:
        with open(self.work.path("judged", int(self._home[i])), "rb") as file:
            file.seek(self._place[i])
            return near.shingles(read_row(file)["text"])


def _copies(
    pool: _Pool, clusters: near.UnionFind, limits: dict[str, Any]
) -> tuple[np.ndarray, int]:
    """(for each the document that it repeats or NOBODY, pairs compared); clusters are joined."""
    search = near.Search(pool.shingles, limits["together"], limits["remove"])
    pairs: set[tuple[int, int]] = set()
    for band in range(near.BANDS):
        for i, j, alike in search.band(pool.keys(band), _any):
            clusters.join(i, j)
            if alike >= limits["remove"]:
                pairs.add((i, j))
    copies = np.full(len(pool.documents), NOBODY)
    for i, j in sorted(pairs, key=lambda pair: (pair[1], pair[0])):
        if copies[i] == NOBODY and copies[j] == NOBODY:  # i comes before j: it is decided
            copies[j] = i
    return copies, search.compared


def _joined(
    pool: _Pool, clusters: near.UnionFind, left: np.ndarray, limits: dict[str, Any]
) -> tuple[int, int]:
    """(pairs compared, clusters joined) of the looser search among documents that are left."""
    search = near.Search(pool.shingles, limits["together"], 2.0)  # all are compared with all
    found = 0
    for band in range(near.BANDS, near.BANDS + near.LOOSE_BANDS):
        for i, j, _ in search.band(pool.keys(band), _across(clusters, left)):
            found += clusters.join(i, j)
    return search.compared, found


def _any(i: int, j: int) -> bool:
    return True


def _across(clusters: near.UnionFind, left: np.ndarray) -> Callable[[int, int], bool]:
    """Whether two documents are in the corpus and in different clusters."""
    here = left.tolist()
    return lambda i, j: here[i] and here[j] and clusters.find(i) != clusters.find(j)
