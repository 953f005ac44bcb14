"""First stage, a part at a time: files become clean documents, each with its language and hash.

Leaves of a part:  read-N.rows    work.row_of             read-N.json    files, common words
                   digests-N.npy  (documents, 2) uint64    units-N.npy    exact.UNIT

Read next: survey.py.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np

from tinygpt.curation import exact, readers
from tinygpt.curation.clean import clean
from tinygpt.curation.language import UNKNOWN, identifier
from tinygpt.curation.work import Work, row_of
from tinygpt.storage.durable import replace_file, replacing

LOOKED_AT = 2000  # characters of a document from which common words are counted
COMMON = 200  # words of each language that a part hands on


def read_part(work: Work, part: int) -> None:
    """Make what this stage leaves of a part."""
    identify = identifier(work)
    files: list[dict[str, Any]] = []
    words: dict[str, Counter[str]] = {}
    digests: list[bytes] = []
    units: list[tuple[int, int, int]] = []
    rules = work.settings.of("exact")
    reading = work.settings.of("reading")
    with replacing(work.path("read", part)) as out:
        for number, source in work.sources(part):
            file: dict[str, Any] = {"source": number, "documents": 0, "refused": 0, "why": {}}
            files.append(file)
            for found in readers.read(source, reading.get("trafilatura", False)):
                if isinstance(found, readers.Refused):
                    file["refused"] += found.size
                    file["why"][found.why] = file["why"].get(found.why, 0) + 1
                    continue
                text = clean(found.text, reading["mojibake"])
                language, score = identify(text)
                units += [
                    (hashed, len(digests), unit) for hashed, unit in _units(text, rules)
                ]
                digests.append(exact.digest(text))
                if language != UNKNOWN:
                    counter = words.setdefault(language, Counter())
                    counter.update(text[:LOOKED_AT].lower().split())
                before, after = len(found.text.encode()), len(text.encode())
                row = {
                    "name": source.name + found.label, "source": number,
                    "encoding": found.encoding, "language": language, "score": round(score, 4),
                    "bytes": before, "cleaned": before - after,
                }
                out.write(row_of(row, text))
                file["documents"] += 1
        common = {
            language: sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:COMMON]
            for language, counter in sorted(words.items())
        }
        work.save("digests", part, np.frombuffer(b"".join(digests), "<u8").reshape(-1, 2))
        work.save("units", part, np.array(units, exact.UNIT))
        summary = {"files": files, "words": common, "documents": len(digests)}
        replace_file(work.path("read", part, ".json"), json.dumps(summary, ensure_ascii=False))


def _units(text: str, rules: dict[str, Any]) -> list[tuple[int, int]]:
    """Hashes of the paragraphs or lines that may be furniture; lines numbered from 2^31."""
    found: list[tuple[int, int]] = []
    if rules["paragraphs"]:
        found += exact.units(text, "\n\n", rules["paragraph_characters"])
    if rules["lines"]:
        lines = exact.units(text, "\n", rules["line_characters"])
        found += [(hashed, number + exact.LINES) for hashed, number in lines]
    return found
