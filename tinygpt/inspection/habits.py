"""What a head does as a rule, measured on a text that has nothing to say.

A row of random tokens, then the same row again: whatever a head finds there it finds by place or
by repetition, not by meaning. Four habits have names (Elhage et al. 2021; Olsson et al. 2022):

    previous     reads the token before
    first        reads the first position: where nothing is to be found, a place to look
    same         reads earlier copies of the token that stands here
    induction    reads what followed an earlier copy: the core of going on with a pattern

A score is the mean weight that goes there, 0 to 1, over the positions where there is such a place.

Read next: matrices.py.
"""

from __future__ import annotations

import numpy as np

from tinygpt.inspection.watch import Seen, watch
from tinygpt.model import LanguageModel

HABITS = ("previous", "first", "same", "induction")
ENOUGH = 0.3  # of the weight: from here on a habit names the head


def habits(model: LanguageModel, seed: int = 0, length: int = 48) -> np.ndarray:
    """(4, L, H) float64: each head's scores, in the order of HABITS.

    length: of the repeated row at most, tokens.
    Raises UserError as `watch`, and for a context of fewer than four tokens' room.
    """
    half = min(length, (model.shape.context - model.before) // 2)
    row = np.random.default_rng(seed).integers(0, model.shape.vocab_size, max(half, 1))
    return scores(watch(model, np.concatenate([row, row])))


def scores(seen: Seen) -> np.ndarray:
    """(4, L, H): the habits as they show in one text."""
    wanted = places(seen.ids)
    found = np.array([
        [(layer.attention.maps()[1] * place).sum(axis=-1) for layer in seen.layers]
        for place in wanted
    ])  # (4, L, H, T)
    there = np.asarray(wanted.any(axis=-1))  # (4, T): positions that have such a place
    totals = (found * there[:, None, None]).sum(axis=-1)
    return totals / np.maximum(there.sum(axis=-1), 1)[:, None, None]


def places(ids: np.ndarray) -> np.ndarray:
    """(4, T, T) bool: where each habit looks from each position of a text."""
    T = len(ids)
    query, key = np.arange(T)[:, None], np.arange(T)[None]
    same = (ids[:, None] == ids[None]) & (key < query)
    after = np.zeros_like(same)
    after[:, 1:] = same[:, :-1]  # key j follows a copy if j - 1 is one
    first = np.broadcast_to((key == 0) & (query > 0), (T, T))
    return np.stack([key == query - 1, first, same, after & (key < query)])


def names(found: np.ndarray) -> list[list[str]]:
    """(4, L, H) -> a name for each head, "" for one without a habit."""
    best, most = found.argmax(axis=0), found.max(axis=0)
    return [
        [HABITS[b] if m >= ENOUGH else "" for b, m in zip(row, row_most, strict=True)]
        for row, row_most in zip(best, most, strict=True)
    ]
