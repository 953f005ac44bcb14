"""How well a model predicts a text, in units that mean the same for every model.

    bits per byte          -log2 p(text) / bytes of the text     compares any two models
    perplexity per token   exp(nats / tokens)                    compares models of one tokenizer
    perplexity per word    exp(nats / words)                     any two models, in a larger unit

The bytes are those of the text itself, and never those that the tokens spell: a token that holds
half a character, a normalized space or a byte written as <0x0A> spells fewer or more, and the error
goes straight into the result (nanochat had counted 3 bytes for 1 in 193 of its tokens).

The text is cut into clusters (documents, or blocks of a long one) for the interval of
intervals.py, and beside the model stand those that learn next to nothing: every byte alike,
counted bytes and pairs, Kneser-Ney over five bytes (../data/ngrams.py), and xz, a compressor. What
predicts a text no better than xz is no model of it.

Read first: intervals.py, subject.py. Read next: results.py, multiple_choice.py.
"""

from __future__ import annotations

import lzma
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygpt.data.ngrams import growing, probabilities
from tinygpt.errors import UserError
from tinygpt.evaluation.intervals import Interval, alone, difference, ratio
from tinygpt.evaluation.results import Pair, Row, told
from tinygpt.evaluation.subject import Subject, Surprise
from tinygpt.text import DataError

ENOUGH = 20  # documents to be drawn from; fewer are cut into blocks
TOGETHER = 64  # documents that are read side by side
BLOCK = 2_000  # bytes in a block at least
BLOCKS = 200  # at most
LEARNED = 2_000_000  # bytes of the training text that the counts learn from
ORDER = 5  # bytes
COUNTED = {"unigram": 1, "bigram": 2, "kneser-ney 5": ORDER}
UNIT = "bits per byte"


class Passage(NamedTuple):
    """A document with a name."""

    name: str
    text: str


def chosen(documents: Sequence[Passage], limit: int | None) -> list[Passage]:
    """Documents spread evenly over all, up to about `limit` bytes; of a single long one its start.

    Empty ones are left out.  Raises DataError where nothing is left.
    """
    full = [one for one in documents if one.text]
    if not full:
        raise DataError("there is no text to measure on: it is empty. Give some with --data FILE.")
    sizes = [len(one.text.encode()) for one in full]
    if limit is None or sum(sizes) <= limit:
        return full
    if len(full) < ENOUGH:
        share = limit / sum(sizes)
        return [Passage(name, text[: max(1, int(len(text) * share))]) for name, text in full]
    count = max(ENOUGH, int(len(full) * limit / sum(sizes)))
    return [full[i] for i in np.linspace(0, len(full) - 1, count).round().astype(int)]


def measure(subject: Subject, documents: Sequence[Passage]) -> Iterator[dict[str, Any]]:
    """One line of results for each cluster, in the documents' order.

    A document that holds what the model cannot read is an error of its own line, "left_out".
    """
    blocks = 1
    if len(documents) < ENOUGH:
        size = sum(len(one.text.encode()) for one in documents)
        blocks = min(BLOCKS, max(1, size // BLOCK))
    for at in range(0, len(documents), TOGETHER):
        some = documents[at : at + TOGETHER]
        for (name, text), found in zip(some, _surprises(subject, some), strict=True):
            if isinstance(found, UserError):
                yield {"item": name, "left_out": str(found)}
            else:
                yield from _lines(name, text, found.nats, found.ends, blocks, len(documents))


def _surprises(
    subject: Subject, documents: Sequence[Passage]
) -> Iterator[Surprise | UserError]:
    """All together where that is possible, else one by one to see which cannot be read."""
    try:
        yield from list(subject.surprise([one.text for one in documents]))
    except UserError:
        for one in documents:
            try:
                yield from list(subject.surprise([one.text]))
            except UserError as error:
                yield error


def _lines(
    name: str, text: str, nats: np.ndarray, ends: np.ndarray, blocks: int, documents: int
) -> Iterator[dict[str, Any]]:
    """A document's clusters: itself, or its blocks.  A token belongs to where it ends."""
    count = 1 if blocks == 1 else max(1, round(blocks / documents))
    edges = np.linspace(0, len(text), count + 1).round().astype(int)
    sizes = [len(text[a:b].encode()) for a, b in zip(edges, edges[1:], strict=False)]
    stops = np.cumsum(sizes)
    which = np.minimum(np.searchsorted(stops, np.round(ends, 6)), count - 1)
    sums, tokens = np.bincount(which, nats, count), np.bincount(which, minlength=count)
    for number in range(count):
        piece = text[edges[number] : edges[number + 1]]
        yield {
            "item": name if count == 1 else f"{name}, block {number + 1}",
            "bytes": sizes[number], "words": len(piece.split()), "tokens": int(tokens[number]),
            "nats": float(sums[number]),
        }


def beside(
    lines: Sequence[dict[str, Any]], documents: Sequence[Passage], learned: str | None
) -> dict[str, float]:
    """Add to each cluster's line the nats of models that only count; returns bits per byte of
    those that have no clusters: xz, and xz after reading what was learned.

    learned: the text that the evaluated model learned from. None: counts learn from the half of the
        clusters that they are not judged on, and the other way round.
    """
    texts = _texts_of(lines, documents)
    if learned is not None:
        fit = np.frombuffer(learned.encode()[:LEARNED], np.uint8).astype(np.int64)
        _count(lines, texts, fit)
    else:
        half = len(lines) // 2
        for own, other in ((slice(half), slice(half, None)), (slice(half, None), slice(half))):
            fit = np.frombuffer(b"".join(texts[other]), np.uint8).astype(np.int64)
            if texts[own] and len(fit) > ORDER:
                _count(lines[own], texts[own], fit)
    whole = b"\n".join(texts)
    found = {"uniform": 8.0, "xz": 8 * len(_packed(whole)) / len(whole)}
    if learned is not None:
        before = learned.encode()[:LEARNED]
        more = len(_packed(before + b"\n" + whole)) - len(_packed(before))
        found["xz after the training text"] = 8 * more / len(whole)
    return found


def _texts_of(
    lines: Sequence[dict[str, Any]], documents: Sequence[Passage]
) -> list[bytes]:
    """The bytes of each cluster: cut off the documents in order."""
    left = {one.name for one in documents}
    skipped = {line["item"] for line in lines if "left_out" in line}
    whole = b"".join(one.text.encode() for one in documents if one.name in left - skipped)
    texts, at = [], 0
    for line in lines:
        size = line.get("bytes", 0)
        texts.append(whole[at : at + size])
        at += size
    return texts


def _count(lines: Sequence[dict[str, Any]], texts: Sequence[bytes], fit: np.ndarray) -> None:
    held = np.frombuffer(b"".join(texts), np.uint8).astype(np.int64)
    stops = np.cumsum([len(text) for text in texts])
    before = np.full(ORDER - 1, ord("\n"))
    for order, model in enumerate(growing(fit, 256, ORDER), 1):
        for name in (name for name, wanted in COUNTED.items() if wanted == order):
            asked = np.concatenate([before[: order - 1], held])
            nats = np.append(0.0, np.cumsum(-np.log(probabilities(model, asked, 256))))
            ends = nats[stops]
            for line, value in zip(lines, np.diff(ends, prepend=0.0), strict=True):
                if "nats" in line:
                    line[name] = float(value)


def _packed(content: bytes) -> bytes:
    """As xz -9 stores it, without the file's own header and checksum."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]
    return lzma.compress(content, lzma.FORMAT_RAW, filters=filters)


# What the lines say: made of a file of results alone.


def rows(
    header: dict[str, Any], lines: Sequence[dict[str, Any]], rng: np.random.Generator
) -> list[Row]:
    """A table of what lines of `measure` and the rivals of `beside` amount to.

    Raises UserError where no cluster could be read.
    """
    read = measured(lines)
    nats, sizes = column(read, "nats"), column(read, "bytes")
    bits = ratio(nats / math.log(2), sizes, rng)
    found = [
        Row(UNIT, bits),
        Row("perplexity per token", _exp(ratio(nats, column(read, "tokens"), rng))),
        Row("perplexity per word", _exp(ratio(nats, np.maximum(column(read, "words"), 1e-9), rng))),
    ]
    known = rivals(header, read)
    found += [Row(f"{UNIT}, {name}", alone(value)) for name, value in known.items()]
    return found


def rivals(header: dict[str, Any], read: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Bits per byte of what learns next to nothing, the worst first."""
    sizes = column(read, "bytes").sum()
    counted = {
        name: float(column(read, name).sum() / math.log(2) / sizes)
        for name in COUNTED if all(name in line for line in read)
    }
    both = {**header.get("rivals", {}), **counted}
    return dict(sorted(both.items(), key=lambda pair: -pair[1]))


def verdict(
    header: dict[str, Any], lines: Sequence[dict[str, Any]], rng: np.random.Generator
) -> list[str]:
    """Sentences: is it a model of this text, and by how much is it better than counting."""
    read = measured(lines)
    nats, sizes = column(read, "nats") / math.log(2), column(read, "bytes")
    bits, known = ratio(nats, sizes, rng), rivals(header, read)
    packers = {name: value for name, value in known.items() if name.startswith("xz")}
    said = []
    if packers:
        name = min(packers, key=lambda one: packers[one])
        if bits.known and bits.high < packers[name]:
            said.append(f"It predicts the text better than {name} packs it: it is a model of it.")
        else:
            said.append(
                f"It does not predict the text surely better than {name} packs it: it cannot be "
                "called a model of this text."
            )
    counted = [name for name in COUNTED if name in known]
    if counted:
        name = min(counted, key=lambda one: known[one])
        change = difference(column(read, name) / math.log(2), nats, sizes, rng)
        said.append(f"Against {name}: {told(change, UNIT, lower_is_better=True)}")
    if not bits.known:
        said.append(f"{bits.clusters} clusters of text are too few for an interval. Give more.")
    return said


def paired(
    a: Sequence[dict[str, Any]], b: Sequence[dict[str, Any]], rng: np.random.Generator
) -> list[Pair]:
    """What two files of results on the same text say of each other: in bits per byte alone, since
    tokens are each model's own."""
    for one, other in zip(a, b, strict=True):
        if one["bytes"] != other["bytes"]:
            raise UserError(
                f"{one['item']} has {one['bytes']} bytes in one file and {other['bytes']} in the "
                "other: they are of two texts. Evaluate both on one."
            )
    first, second = (column(lines, "nats") / math.log(2) for lines in (a, b))
    sizes = column(a, "bytes")
    return [Pair(
        UNIT, ratio(first, sizes, rng), ratio(second, sizes, rng),
        difference(first, second, sizes, rng), (first, second), sizes, lower_is_better=True,
    )]


def measured(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that are not left out.  Raises UserError where that is none."""
    read = [line for line in lines if "nats" in line]
    if not read:
        reason = next((line["left_out"] for line in lines), "there was none.")
        raise UserError(f"nothing of the text could be measured: {reason}")
    return read


def column(lines: Sequence[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([line[name] for line in lines], np.float64)


def _exp(found: Interval) -> Interval:
    """A perplexity: the interval of the mean loss, its ends raised."""
    value, low, high = (math.exp(min(one, 700.0)) for one in found[:3])
    return Interval(value, low, high, value * found.error, found.clusters)
