"""Last stage: the corpus and its account, from what all others left.

    CORPUS/train-00000.jsonl ...   shards of documents, in the order of the sources
    CORPUS/account.db              account.py
    CORPUS/corpus.json             what is there, with checksums; written last: then it is a corpus

Read next: ../text/curated.py, which reads it back; account.py.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinygpt.curation import account
from tinygpt.curation.grouping import NOBODY
from tinygpt.curation.judging import EXCERPT, KEPT
from tinygpt.curation.shards import writer_of
from tinygpt.curation.work import Work
from tinygpt.storage.durable import flush_folder, replace_file
from tinygpt.storage.reading import signed
from tinygpt.text.curated import FORMAT, MANIFEST
from tinygpt.text.split import SPLITS


def write(work: Work, out: Path, notes: dict[str, Any]) -> None:
    """Write the corpus into `out`.  notes: of the account."""
    fates = work.load("fates", None)
    shards = writer_of(work.plan["format"])
    writers = {name: shards(work.folder, name) for name in SPLITS}
    rows = _rows(work, fates, writers)
    limits = work.settings.limits
    rules = [(name, limit.least, limit.most) for name, limit in limits.items()]
    path = work.folder / account.NAME
    account.write(path, notes, rules, _files(work), rows)
    manifest: dict[str, Any] = {"format": FORMAT, "kind": work.plan["format"], "splits": {}}
    for name, writer in writers.items():
        manifest["splits"][name] = writer.close()
    names = [shard["file"] for split in manifest["splits"].values() for shard in split["shards"]]
    for name in [*names, account.NAME]:
        os.replace(work.folder / name, out / name)
    flush_folder(out)
    replace_file(out / MANIFEST, json.dumps(signed(manifest), indent=1) + "\n")


def _rows(
    work: Work, fates: np.ndarray, writers: dict[str, Any]
) -> Iterator[tuple[tuple[Any, ...], dict[str, int]]]:
    """The account's row of each document; those that are kept go to their writer on the way."""
    firsts = work.load("firsts", None)
    number = 0
    for part in range(work.parts):
        digests = work.load("digests", part)
        for row, digest in zip(work.rows("judged", part), digests, strict=True):
            text, fate, removed = row["text"], row["fate"], row["removed"]
            copy_of, cluster, split = fates[number].tolist()
            kept = len(text.encode()) if fate == KEPT else 0
            if fate == KEPT and copy_of != NOBODY:
                fate, removed["near.copy"], kept = "near.copy", kept, 0
            if fate == "exact.documents":
                copy_of = int(firsts[number])
            if fate == KEPT:
                writers[SPLITS[split]].add(row["name"], row["language"], text)
            yield (
                number, row["name"], row["source"], row["encoding"], row["language"], row["score"],
                row["bytes"], kept, digest.tobytes().hex(), fate,
                copy_of if copy_of != NOBODY else None, cluster if fate == KEPT else None,
                SPLITS[split] if fate == KEPT else None, row["measured"],
                json.dumps(row["found"]) if row.get("found") else None,
                text[:EXCERPT],
            ), removed
            number += 1


def _files(work: Work) -> Iterator[tuple[Any, ...]]:
    """The account's row of each file: those that were read, then those that were left out."""
    number = 0
    for part in range(work.parts):
        summary = json.loads(work.path("read", part, ".json").read_text("utf-8"))
        for file in summary["files"]:
            source = work.plan["sources"][file["source"]]
            size, refused = source["stop"] - source["start"], file["refused"]
            fate = "read" if file["documents"] else "refused"
            why = "; ".join(
                f"{why} ({n} times)" if n > 1 else why for why, n in file["why"].items()
            )
            yield file["source"], source["name"], size, refused, file["documents"], fate, why
            number += 1
    for name, size, why in work.plan["left"]:
        yield number, name, size, size, 0, "left out", why
        number += 1
