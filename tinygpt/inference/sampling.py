"""From the model's scores for the next token to one token, drawn at random within limits.

    logits -> penalties -> / temperature -> top-k -> top-p -> min-p -> draw

A filter only ever removes candidates, by giving them no weight, so filters combine in the order
above and an empty row cannot occur: the most likely token passes all of them.

Weights are float32, and relative to the likeliest token's, which is 1: nothing needs a whole sum
before the draw. Sums are float64.

Read next: generate.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinygpt.errors import UsageError, UserError

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
                raise UsageError(f"{name} is {value}. It must be {rule}.")


    @property
    def counts_drawn(self) -> bool:
        """Whether it matters how often a token was drawn."""
        return bool(self.frequency_penalty or self.presence_penalty)


GREEDY = Sampling(temperature=0.0)
BLOCK = 64  # weights that are added up before one of them is looked for
LIKELIEST = 64  # tokens among which top-p looks first
BROKEN = (
    "the model's scores are not numbers (nan or infinity). Its weights are damaged: "
    "use an earlier checkpoint, or train again."
)


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
    if not finite(logits).all():
        raise UserError(BROKEN)
    rows = len(logits)
    return sample_each(logits, [sampling] * rows, [rng] * rows, history, drawn)


def sample_each(
    logits: np.ndarray,
    samplings: Sequence[Sampling],
    rngs: Sequence[np.random.Generator],
    history: History | None = None,
    drawn: History | None = None,
) -> np.ndarray:
    """As `sample`, each row in its own way and with its own generator.

    A row's token is the one that it would get alone: whatever is computed for all rows together is
    computed for each by the same operations in the same order.  Rows must be `finite`.
    """
    logits = _penalised(logits, samplings, history, drawn)
    tokens = logits.argmax(axis=-1)
    warm = [row for row, one in enumerate(samplings) if one.temperature > 0]
    if warm:
        some = logits if len(warm) == len(logits) else logits[warm]
        w = _weights(some, [samplings[row] for row in warm])
        tokens[warm] = _draw(w, np.array([rngs[row].random() for row in warm]))
    return tokens


def finite(logits: np.ndarray) -> np.ndarray:
    """(B,) bool: the rows that hold neither nan nor infinity, and not -inf alone."""
    return np.isfinite(logits.max(axis=-1))  # the maximum of a row with nan is nan


def _draw(w: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """(B,) int64: of each row the token whose share of the weights the number, 0 to 1, falls into.

    w: (B, V) float32, at least 0; V is a multiple of BLOCK. In a cumulative sum of all V each
    addition waits for the one before. So blocks are summed, then one is looked into: of 4,096
    weights, 64 and 64.
    """
    rows, blocks = np.arange(len(w)), w.reshape(len(w), -1, BLOCK)
    sums = np.cumsum(blocks.sum(axis=-1), axis=-1, dtype=np.float64)
    target = numbers * sums[:, -1]
    block = _beyond(sums, target)
    target -= np.where(block > 0, sums[rows, block - 1], 0)
    return block * BLOCK + _beyond(np.cumsum(blocks[rows, block], -1, dtype=np.float64), target)


def _beyond(sums: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(B,) int64: where cumulative sums (B, N) first exceed a row's target.

    What adds nothing is never there: not even where rounding took the target to the total, or the
    total below it; then it is the last that adds anything.
    """
    target = np.minimum(target, np.nextafter(sums[:, -1], 0))
    return (sums > target[:, None]).argmax(axis=-1)


def _weights(logits: np.ndarray, samplings: Sequence[Sampling]) -> np.ndarray:
    """(B, V) float32: how likely each token is, relative to its row's likeliest; 0 if filtered out.

    V is rounded up to whole BLOCKs.  Temperatures must be above 0.
    """
    B, V = logits.shape
    whole = np.empty((B, -(-V // BLOCK) * BLOCK), np.float32)
    whole[:, V:] = 0
    w = whole[:, :V]
    # The maximum goes before anything is divided: a tiny temperature stays finite.
    np.subtract(logits, logits.max(axis=-1, keepdims=True), out=w)
    w /= np.array([[one.temperature] for one in samplings], np.float32)
    np.exp(w, out=w)
    for row, one in zip(w, samplings, strict=True):
        if one.top_k is not None:
            row[row < top_k(row, one.top_k)] = 0
        if one.top_p is not None and one.top_p < 1:
            row[row < top_p(row, one.top_p)] = 0
        if one.min_p is not None:
            row[row < one.min_p] = 0  # the likeliest weighs 1
    return whole


def probabilities(logits: np.ndarray, sampling: Sampling) -> np.ndarray:
    """The distribution that `sample` draws from: (B, V) logits -> (B, V) float64, rows sum to 1.

    Temperature must be above 0.
    """
    w = _weights(logits, [sampling] * len(logits))[:, : logits.shape[1]].astype(np.float64)
    return w / w.sum(axis=-1, keepdims=True)


def _penalised(
    logits: np.ndarray, samplings: Sequence[Sampling], history: History | None,
    drawn: History | None,
) -> np.ndarray:
    """Logits (B, V) less each row's penalties; the same array where there are none."""
    out = logits
    for i, one in enumerate(samplings):
        row = before = out[i : i + 1]
        if one.repetition_penalty is not None and history is not None:
            row = penalise(row, history[i : i + 1], one.repetition_penalty)
        if one.counts_drawn and drawn is not None:
            row = penalise_drawn(
                row, drawn[i : i + 1], one.frequency_penalty or 0.0, one.presence_penalty or 0.0
            )
        if row is not before:
            out = logits.copy() if out is logits else out
            out[i] = row[0]
    return out


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


def top_k(w: np.ndarray, k: int) -> float:
    """The least of the k largest weights (V,)."""
    return np.partition(w, -k)[-k] if k < len(w) else 0.0


def top_p(w: np.ndarray, p: float) -> float:
    """The least of the fewest largest weights (V,) that make up a share p of all.

    They are mostly few, so some of the largest are looked at, and more where those fall short.
    """
    needed, count = p * w.sum(dtype=np.float64), LIKELIEST
    while count < len(w):
        likeliest = np.partition(w, -count)[-count:]
        if likeliest.sum(dtype=np.float64) >= needed:
            break
        count *= 8
    else:
        likeliest = w
    ordered = np.sort(likeliest)[::-1]  # largest first
    reached = np.searchsorted(np.cumsum(ordered, dtype=np.float64), needed)
    return ordered[min(reached, len(ordered) - 1)]
