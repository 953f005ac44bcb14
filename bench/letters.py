"""A world in which what is wanted is known: strings of letters, and what people would say of them.

    gold(y) = 2 * (different vowels in y) - 0.1 * (letters of y)

Choices between two strings are drawn by Bradley-Terry from gold, so the best that any reward model
could do is known exactly: accuracy E max(p, 1 - p), loss E H(p).

Read next: align_rewards.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

VOWELS, LONGEST = "aeiou", 20
LETTERS = "abcdefghijklmnopqrstuvwxyz"
PROMPT = "write"


def gold(text: str) -> float:
    """What is wanted."""
    return 2.0 * len(set(text) & set(VOWELS)) - 0.1 * len(text)


def strings(count: int, rng: np.random.Generator) -> list[str]:
    """Of 1 to LONGEST letters, all lengths and all letters alike."""
    letters = np.array(list(LETTERS))
    return ["".join(letters[rng.integers(0, 26, n)])
            for n in rng.integers(1, LONGEST + 1, count)]


def write_talk(path: Path, count: int, rng: np.random.Generator) -> None:
    """Conversations by which a model learns to write such strings."""
    lines = [{"question": PROMPT, "answer": text} for text in strings(count, rng)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def write_pairs(path: Path, count: int, rng: np.random.Generator) -> tuple[float, float]:
    """Choices.  Returns the accuracy and the loss of whoever knows gold (Bayes), on these pairs."""
    lines, sure, surprise = [], [], []
    while len(lines) < count:
        a, b = strings(2, rng)
        if a == b:
            continue
        p = 1 / (1 + np.exp(gold(b) - gold(a)))
        chosen, rejected = (a, b) if rng.random() < p else (b, a)
        lines.append({"prompt": PROMPT, "chosen": chosen, "rejected": rejected})
        sure.append(max(p, 1 - p))
        surprise.append(-p * np.log(p) - (1 - p) * np.log1p(-p))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return float(np.mean(sure)), float(np.mean(surprise))
