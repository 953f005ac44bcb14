"""Texts into classes by the letters in them: hashed n-grams of bytes and a linear softmax.

    features    how often each n-gram of N bytes occurs, hashed to BUCKETS, scaled to length 1
    logits      features W^T + b
    training    Adam on the cross entropy, a batch at a time, the order seeded

Bytes of UTF-8 need no words, no list of letters and no script: "th", "sch" and "ção" are told by a
few thousand of them. Languages (language.py) and quality (quality.py) are the same classifier
with other classes.

**Knowing that one does not know.** A softmax is sure of something even where it has never been. So
each class also remembers which n-grams of KNOWN bytes its examples had, as one bit each. A text in
a language that nobody taught shares few of them with any class; it is refused where the share is
below what examples kept aside from learning have.

Source: Cavnar and Trenkle 1994 (n-grams for languages); Weinberger et al. 2009 (hashing).

Read next: language.py.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinygpt.errors import UserError
from tinygpt.storage.durable import replacing
from tinygpt.storage.paths import shown

N = (1, 2, 3, 4)
BUCKETS = 1 << 14
KNOWN, KNOWN_BUCKETS = 5, 1 << 21
LOOKED_AT = 1500  # bytes of a text
LEARNED_FROM = 600  # of an example: what one decides on is no longer
BATCH, EPOCHS, RATE = 64, 6, 0.02
ASIDE = 0.1  # of the examples, for what a class's own texts share with it
LOWEST, MARGIN = 0.02, 0.8  # the lowest of those, and that for authors who were not among them
FORMAT = "tinygpt classifier 1"


def codes(text: bytes, n: int) -> np.ndarray:
    """A 32-bit hash of every n bytes in a row, (len(text) - n + 1,) uint32."""
    data = np.frombuffer(text, np.uint8).astype(np.uint32)
    if len(data) < n:
        return np.empty(0, np.uint32)
    hashed = data[: len(data) - n + 1].copy()
    for i in range(1, n):
        hashed = hashed * np.uint32(0x01000193) ^ data[i : len(data) - n + 1 + i]
    hashed = (hashed ^ hashed >> np.uint32(15)) * np.uint32(0x85EBCA6B + 2 * n)
    return hashed ^ hashed >> np.uint32(13)


def features(texts: Sequence[bytes]) -> np.ndarray:
    """(texts, BUCKETS) float32, every row of length 1 (0 for an empty text)."""
    made = np.empty((len(texts), BUCKETS), np.float32)
    for row, text in zip(made, texts, strict=True):
        found = np.concatenate([codes(text, n) for n in N]) % np.uint32(BUCKETS)
        row[:] = np.sqrt(np.bincount(found, minlength=BUCKETS))
        row /= max(float(np.linalg.norm(row)), 1e-9)
    return made


def prepared(text: str, limit: int = LOOKED_AT) -> bytes:
    """What of a text is looked at: letters in lower case, no digits, one space between words."""
    low = "".join(c if not c.isdigit() else " " for c in text[:limit].lower())
    return f" {' '.join(low.split())} ".encode()[:limit]


@dataclass
class Classifier:
    """classes: their names.  weight: (classes, BUCKETS), bias: (classes,) float32.

    known: (classes, KNOWN_BUCKETS) bool; least: (classes,), below which a class is refused.
    """

    classes: tuple[str, ...]
    weight: np.ndarray
    bias: np.ndarray
    known: np.ndarray
    least: np.ndarray

    def probabilities(self, texts: Sequence[bytes]) -> np.ndarray:
        """(texts, classes) float32 of prepared texts."""
        return _softmax(features(texts) @ self.weight.T + self.bias)

    def probabilities_of(self, data: bytes) -> np.ndarray:
        """As `probabilities`, of one text: only the buckets that it has are looked at."""
        found = np.concatenate([codes(data, n) for n in N]) % np.uint32(BUCKETS)
        ids, counts = np.unique(found, return_counts=True)
        x = np.sqrt(counts / max(1, len(found)), dtype=np.float32)
        return _softmax((self.weight[:, ids] @ x + self.bias)[None])[0]

    def __call__(self, text: str) -> tuple[str | None, float]:
        """(class, probability); None for a text like none of them, or without letters."""
        data = prepared(text)
        if len(data) < KNOWN:
            return None, 0.0
        row = self.probabilities_of(data)
        best = int(row.argmax())
        if self._share(data, best) < self.least[best]:
            return None, float(row[best])
        return self.classes[best], float(row[best])

    def _share(self, data: bytes, which: int) -> float:
        """Share of a text's n-grams that a class has seen."""
        return float(self.known[which][codes(data, KNOWN) % np.uint32(KNOWN_BUCKETS)].mean())

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
        known[labels[i], codes(texts[i], KNOWN) % np.uint32(KNOWN_BUCKETS)] = True
    made = Classifier(classes, weight, bias, known, np.zeros(len(classes), np.float32))
    for label in range(len(classes)):
        own = np.flatnonzero(aside & (labels == label))
        shares = [made._share(texts[i], label) for i in own if len(texts[i]) >= KNOWN]
        if shares:
            made.least[label] = MARGIN * np.quantile(shares, LOWEST)
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
