"""From the model's scores for the next token to one token, drawn at random within limits.

    logits -> penalties -> / temperature -> top-k -> top-p -> min-p -> draw

Every filter works on a whole batch of rows at once and only ever removes candidates, by setting
their logit to -inf, so filters combine in the order above and an empty row cannot occur: the most
likely token passes all of them.

Read next: generate.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinygpt.errors import UserError

History = Sequence[Sequence[int] | np.ndarray]  # of each row of a batch, the ids so far


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. None means off.

    temperature: divides the logits; 0 always takes the most likely token.
    top_k: keep the k most likely tokens (Fan et al. 2018).
    top_p: keep the smallest set of likeliest tokens whose probabilities reach p
        (Holtzman et al. 2019).
    min_p: keep tokens at least min_p times as likely as the likeliest (Nguyen et al. 2024).
    repetition_penalty: divide a positive logit of a token that occurred already by this, multiply
        a negative one (Keskar et al. 2019, eq. 5); 1.1 to 1.3 is usual.
    frequency_penalty, presence_penalty: take this from a token's logit for each time that it was
        drawn, and once if it was drawn at all; the prompt does not count (OpenAI's definition).
    Tokens that tie with the last one kept are kept too.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None

    def __post_init__(self) -> None:
        for name, holds, rule in (
            ("temperature", lambda x: 0 <= x < np.inf, "0 (always the likeliest token) or more"),
            ("top_k", lambda x: x >= 1, "1 or more"),
            ("top_p", lambda x: 0 < x <= 1, "above 0 and at most 1"),
            ("min_p", lambda x: 0 <= x <= 1, "between 0 and 1"),
            ("repetition_penalty", lambda x: 0 < x < np.inf, "above 0; 1.1 is mild"),
            ("frequency_penalty", lambda x: -np.inf < x < np.inf, "a finite number"),
            ("presence_penalty", lambda x: -np.inf < x < np.inf, "a finite number"),
        ):
            value = getattr(self, name)
            if value is None and name != "temperature":
                continue
            if value is None or not holds(value):
                raise UserError(f"{name} is {value}. It must be {rule}.")


GREEDY = Sampling(temperature=0.0)


def sample(
    logits: np.ndarray,
    sampling: Sampling,
    rng: np.random.Generator,
    history: History | None = None,
    drawn: History | None = None,
) -> np.ndarray:
    """Draw one token per row.

    logits: (B, V) float32, not written to.  history: read by the repetition penalty.
    drawn: what of the history was drawn, read by the frequency and the presence penalty.
    rng: one uniform number is drawn per row, none at temperature 0.
    Returns ids (B,) int64.
    Raises UserError if a row holds nan or infinity: the model's weights are broken.
    """
    if not np.isfinite(logits.max(axis=-1)).all():  # the maximum of a row with nan is nan
        raise UserError(
            "the model's scores are not numbers (nan or infinity). Its weights are damaged: "
            "use an earlier checkpoint, or train again."
        )
    if sampling.repetition_penalty is not None and history is not None:
        logits = penalise(logits, history, sampling.repetition_penalty)
    frequency, presence = sampling.frequency_penalty or 0.0, sampling.presence_penalty or 0.0
    if drawn is not None and (frequency or presence):
        logits = penalise_drawn(logits, drawn, frequency, presence)
    if sampling.temperature == 0:
        return logits.argmax(axis=-1)
    return np.array([_draw(row, sampling, rng) for row in logits], dtype=np.int64)


def _draw(logits: np.ndarray, sampling: Sampling, rng: np.random.Generator) -> int:
    """One token by its probability, from logits (V,).

    What top-k leaves out is put aside first: of 50,000 tokens there are 40 to be weighed.
    """
    k, kept = sampling.top_k, None
    if k is not None and k < len(logits):
        kept = np.flatnonzero(logits >= np.partition(logits, -k)[-k])
        logits = logits[kept]
    p = probabilities(logits[None], sampling)[0]
    cumulative = np.cumsum(p)
    target = rng.random() * cumulative[-1]
    # The first token whose cumulative probability exceeds the target; one of probability zero never
    # is. `min` covers a product that rounds up to the total itself.
    last = len(p) - 1 - int((p[::-1] > 0).argmax())
    token = min(int(np.searchsorted(cumulative, target, side="right")), last)
    return token if kept is None else int(kept[token])


def probabilities(logits: np.ndarray, sampling: Sampling) -> np.ndarray:
    """The distribution that `sample` draws from: (B, V) logits -> (B, V) float64, rows sum to 1.

    Temperature must be above 0.
    """
    logits = logits.astype(np.float64)
    logits -= logits.max(axis=-1, keepdims=True)  # before dividing: a tiny temperature stays finite
    logits /= sampling.temperature
    if sampling.top_k is not None:
        logits = top_k(logits, sampling.top_k)
    if sampling.top_p is not None:
        logits = top_p(logits, sampling.top_p)
    if sampling.min_p is not None:
        logits = min_p(logits, sampling.min_p)
    return softmax(logits)


def penalise(logits: np.ndarray, history: History, penalty: float) -> np.ndarray:
    """Make each row's tokens that occur in its history less likely.  Returns a new (B, V)."""
    logits = logits.copy()
    for row, ids in zip(logits, history, strict=True):
        seen = np.unique(np.asarray(ids, dtype=np.int64))
        row[seen] = np.where(row[seen] > 0, row[seen] / penalty, row[seen] * penalty)
    return logits


def penalise_drawn(
    logits: np.ndarray, drawn: History, frequency: float, presence: float
) -> np.ndarray:
    """Make tokens less likely the more often each row has drawn them.  Returns a new (B, V)."""
    logits = logits.copy()
    for row, ids in zip(logits, drawn, strict=True):
        seen, count = np.unique(np.asarray(ids, dtype=np.int64), return_counts=True)
        row[seen] -= (frequency * count + presence).astype(row.dtype)
    return logits


def top_k(logits: np.ndarray, k: int) -> np.ndarray:
    """(B, V) with all but the k largest of each row at -inf."""
    if k >= logits.shape[-1]:
        return logits
    threshold = np.partition(logits, -k, axis=-1)[:, -k, None]  # (B, 1)
    return np.where(logits >= threshold, logits, -np.inf)


def top_p(logits: np.ndarray, p: float) -> np.ndarray:
    """(B, V) with all but each row's nucleus at -inf: the fewest likeliest that reach p."""
    ordered = -np.sort(-logits, axis=-1)  # likeliest first
    before = np.cumsum(softmax(ordered), axis=-1)
    # A token stays while the tokens likelier than it have not reached p: the first always does.
    count = 1 + (before[:, :-1] < p).sum(axis=-1, keepdims=True)  # (B, 1)
    threshold = np.take_along_axis(ordered, count - 1, axis=-1)
    return np.where(logits >= threshold, logits, -np.inf)


def min_p(logits: np.ndarray, p: float) -> np.ndarray:
    """(B, V) with tokens less than p times as likely as their row's likeliest at -inf."""
    if p == 0:
        return logits
    # p_i >= p p_max   <=>   logit_i >= logit_max + log p
    return np.where(logits >= logits.max(axis=-1, keepdims=True) + np.log(p), logits, -np.inf)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis in float64."""
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
