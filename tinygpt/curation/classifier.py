"""Texts into classes by the letters in them: hashed n-grams of bytes and a linear softmax.

    features    how often each n-gram of N bytes occurs, hashed to BUCKETS, scaled to length 1
    logits      features W^T + b
    training    Adam on the cross entropy, a batch at a time, the order seeded

Bytes of UTF-8 need no words, no list of letters and no script: "th", "sch" and "ção" are told by a
few thousand of them. Languages (language.py) and quality (quality.py) are the same classifier
with other classes.

**Knowing that one does not know.** A softmax is sure of something even where it has never been. So
each class also remembers which n-grams of KNOWN bytes its examples had, as one bit each, and a text
in a language that nobody taught shares few of them. But Spanish shares many with Portuguese; what
it does not do is to leave the other Romance languages far behind. So how sure one is of a class is

    its logit above the second best  x  the share of the text's n-grams that the class knows

and a text is refused below FAIR of what examples of that class, kept aside from learning, have in
the middle. (The middle: their lowest are listings and names, which are in no language.)

Source: Cavnar and Trenkle 1994 (n-grams for languages); Weinberger et al. 2009 (hashing).

Read next: language.py.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minigrad.ops.byte_ngrams import (
    byte_ngram_counts,
    byte_ngram_logits,
    byte_ngrams,
    byte_ngrams_known,
)
from tinygpt.errors import UserError
from tinygpt.storage.durable import replacing
from tinygpt.storage.paths import shown

N = 4  # bytes of the longest n-grams that are weighed
BUCKETS = 1 << 14
KNOWN, KNOWN_BUCKETS = 5, 1 << 21
LOOKED_AT, PLACES = 1500, 5  # characters of a text, from so many places in it
LEARNED_FROM = 600  # of an example: what one decides on is no longer
BATCH, EPOCHS, RATE = 64, 6, 0.02
ASIDE = 0.1  # of the examples, to see how sure one is of what one did not learn
FAIR = 0.2  # of the median; python -m bench languages
FORMAT = "tinygpt classifier 1"
DIGITS = re.compile(r"\d+")


def features(texts: Sequence[bytes]) -> np.ndarray:
    """(texts, BUCKETS) float32, every row of length 1 (0 for an empty text)."""
    made = np.zeros((len(texts), BUCKETS), np.float32)
    for row, text in zip(made, texts, strict=True):
        ids, counts = byte_ngram_counts(np.frombuffer(text, np.uint8), N, BUCKETS)
        row[ids] = np.sqrt(counts / max(1, int(counts.sum())), dtype=np.float32)
    return made


def prepared(text: str, limit: int = LOOKED_AT) -> bytes:
    """What of a text is looked at: letters in lower case, no digits, one space between words.

    Of a long one that is some of all its parts: a manual begins with titles, names and a licence.
    """
    if len(text) > limit:
        size, last = limit // PLACES, len(text) - limit // PLACES
        starts = (last * i // (PLACES - 1) for i in range(PLACES))
        text = " ".join(text[start : start + size] for start in starts)
    low = DIGITS.sub(" ", text.lower())
    return f" {' '.join(low.split())} ".encode()[:limit]


@dataclass
class Classifier:
    """classes: their names.  weight: (classes, BUCKETS), bias: (classes,) float32.

    known: (classes, KNOWN_BUCKETS) bool; least: (classes,), how sure one must be of each.
    """

    classes: tuple[str, ...]
    weight: np.ndarray
    bias: np.ndarray
    known: np.ndarray
    least: np.ndarray

    def __post_init__(self) -> None:
        self._columns = np.ascontiguousarray(self.weight.T)  # a bucket's weights in a row

    def probabilities(self, texts: Sequence[bytes]) -> np.ndarray:
        """(texts, classes) float32 of prepared texts."""
        return _softmax(features(texts) @ self.weight.T + self.bias)

    def probabilities_of(self, data: bytes) -> np.ndarray:
        """As `probabilities`, of one text: only the buckets that it has are looked at."""
        return _softmax(self._logits(data)[None])[0]

    def __call__(self, text: str) -> tuple[str | None, float]:
        """(class, probability); None for a text like none of them, or without letters."""
        data = prepared(text)
        if len(data) < KNOWN:
            return None, 0.0
        logits: list[float] = self._logits(data).tolist()
        best = logits.index(max(logits))
        probability = 1 / sum(math.exp(value - logits[best]) for value in logits)
        known = self._sureness(data, logits, best) >= self.least[best]
        return (self.classes[best] if known else None), probability

    def _logits(self, data: bytes) -> np.ndarray:
        return byte_ngram_logits(np.frombuffer(data, np.uint8), N, self._columns, self.bias)

    def _sureness(self, data: bytes, logits: list[float], which: int) -> float:
        """How far a class is before the others, times the share of n-grams that it has seen."""
        before = logits[which] - max(logits[:which] + logits[which + 1 :])
        seen = byte_ngrams_known(np.frombuffer(data, np.uint8), KNOWN, self.known[which])
        return before * seen / (len(data) - KNOWN + 1)

    def save(self, path: Path) -> None:
        """Write a file that `load` reads.  Raises OSError."""
        head = json.dumps({"format": FORMAT, "classes": self.classes})
        arrays = {
            "weight": self.weight.astype(np.float16), "bias": self.bias,
            "known": np.packbits(self.known, axis=1), "least": self.least,
        }
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo("head.json"), head)
            for name, array in arrays.items():
                raw = io.BytesIO()
                np.save(raw, array, allow_pickle=False)
                info = zipfile.ZipInfo(f"{name}.npy")
                archive.writestr(info, raw.getvalue(), zipfile.ZIP_DEFLATED)
        with replacing(path) as file:
            file.write(buffer.getbuffer())


def load(path: Path) -> Classifier:
    """What `save` wrote.  Raises UserError for another file."""
    try:
        with zipfile.ZipFile(path) as archive:
            head = json.loads(archive.read("head.json"))
            if head["format"] != FORMAT:
                raise ValueError(head["format"])
            arrays = {
                name: np.load(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False)
                for name in ("weight", "bias", "known", "least")
            }
        count = len(head["classes"])
        weight, known = arrays["weight"].astype(np.float32), np.unpackbits(arrays["known"], axis=1)
        if weight.shape != (count, BUCKETS) or known.shape != (count, KNOWN_BUCKETS):
            raise ValueError("sizes")
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{shown(path)} is no classifier of ours ({error}). Give a folder of examples."
        ) from None
    return Classifier(
        tuple(head["classes"]), weight, arrays["bias"], known.astype(bool), arrays["least"]
    )


def train(examples: Mapping[str, Sequence[str]], seed: int = 0) -> Classifier:
    """A classifier of texts by example: class -> texts.

    Raises UserError for fewer than two classes, or one without examples.
    """
    classes = tuple(sorted(examples))
    if len(classes) < 2 or not all(examples.values()):
        named = ", ".join(f"{name} ({len(examples[name])})" for name in classes) or "none"
        raise UserError(f"two classes with examples are the least, not {named}. Give more folders.")
    rng = np.random.default_rng(seed)
    texts = [prepared(t, LEARNED_FROM) for name in classes for t in examples[name]]
    labels = np.repeat(np.arange(len(classes)), [len(examples[name]) for name in classes])
    order = rng.permutation(len(texts))
    aside = np.zeros(len(texts), bool)
    for label in range(len(classes)):  # of each class some, where it has enough
        own = order[labels[order] == label]
        aside[own[: int(ASIDE * len(own))]] = True
    weight, bias = _fitted(texts, labels, order[~aside[order]], len(classes), rng)
    known = np.zeros((len(classes), KNOWN_BUCKETS), bool)
    for i in np.flatnonzero(~aside):
        hashes = byte_ngrams(np.frombuffer(texts[i], np.uint8), KNOWN)
        known[labels[i], hashes & np.uint32(KNOWN_BUCKETS - 1)] = True
    made = Classifier(classes, weight, bias, known, np.zeros(len(classes), np.float32))
    for label in range(len(classes)):
        own = np.flatnonzero(aside & (labels == label))
        sure = [
            made._sureness(texts[i], made._logits(texts[i]).tolist(), label)
            for i in own if len(texts[i]) >= KNOWN
        ]
        if sure:
            made.least[label] = FAIR * max(0.0, float(np.median(sure)))
    return made


def _fitted(
    texts: Sequence[bytes], labels: np.ndarray, chosen: np.ndarray, count: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """(weight, bias) after EPOCHS over the chosen texts; every class counts alike."""
    weight = np.zeros((count, BUCKETS), np.float32)
    bias = np.zeros(count, np.float32)
    moments = [np.zeros_like(x) for x in (weight, weight, bias, bias)]
    share = np.bincount(labels[chosen], minlength=count)
    worth = (len(chosen) / count / np.maximum(share, 1)).astype(np.float32)
    step = 0
    for _ in range(EPOCHS):
        order = rng.permutation(chosen)
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            x = features([texts[i] for i in batch])
            # d/dlogits of the mean cross entropy: p - [label]
            dy = _softmax(x @ weight.T + bias)
            dy[np.arange(len(batch)), labels[batch]] -= 1
            dy *= worth[labels[batch], None] / len(batch)
            step += 1
            _adam(weight, dy.T @ x, moments[:2], step)
            _adam(bias, dy.sum(axis=0), moments[2:], step)
    return weight, bias


def _adam(x: np.ndarray, dx: np.ndarray, moments: list[np.ndarray], step: int) -> None:
    m, v = moments
    m += 0.1 * (dx - m)
    v += 0.01 * (dx * dx - v)
    x -= RATE * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.99**step)) + 1e-6)


def _softmax(x: np.ndarray) -> np.ndarray:
    y = np.exp(x - x.max(axis=1, keepdims=True))
    made: np.ndarray = y / y.sum(axis=1, keepdims=True)
    return made
