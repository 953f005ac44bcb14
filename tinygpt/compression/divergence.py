"""How far a student's predictions are from a teacher's, and which way the student goes.

A text tells which token came. A teacher tells how likely it found each of the V: log2 V times as
much, and of a wrong answer it tells how wrong. With z the student's logits, p the teacher's
probabilities and q = softmax(z / T), both at temperature T,

    forward    KL(p || q) = sum p log(p / q)      dz = (q - p) / T
    reverse    KL(q || p) = sum q log(q / p)      dz = q (log(q / p) - KL(q || p)) / T

Forward asks the student to cover whatever the teacher might say; a small one then spreads itself
over what it cannot tell apart. Reverse asks it to say nothing that the teacher would not; it then
may leave things out. Both are multiplied by T^2, since their gradients shrink by it: a mixture with
a loss of the text keeps its proportions whatever T is (Hinton et al. 2015, section 2).

Of a teacher that is kept on disk there are k of V log-probabilities at each place. What is not kept
has the probability p_r together, shared out as the student would share it: p_v = q_v p_r / q_r.
Then KL(p || q) is the divergence of k + 1 answers, "one of the rest" being one, never above the
whole one, and the gradients above are its gradients (`filled`).

Source: Hinton et al. 2015; the two directions, Gu et al. 2024 (MiniLLM), section 2.
Read next: teacher.py.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from minigrad import Tensor

Divergence = Literal["forward", "reverse"]
LEAST = 1e-9  # probability of the rest at least: a kept sum may round above 1
LOWEST = -100.0  # log-probability of what a teacher rules out: 0 log 0 = 0, and no infinity


def log_softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """(..., V) -> log softmax(logits / temperature), the dtype kept."""
    x = logits / logits.dtype.type(temperature)
    x -= x.max(axis=-1, keepdims=True)
    x -= np.log(np.exp(x).sum(axis=-1, keepdims=True))
    return x


def divergence(
    logits: Tensor, log_p: np.ndarray, temperature: float = 1.0, kind: Divergence = "forward"
) -> Tensor:
    """T^2 times the mean over R rows of the divergence between teacher and student, nats: ().

    logits: (R, V) the student's.  log_p: (R, V) the teacher's at that temperature, a constant.
    Saved: one (R, V) array, the gradient.
    """
    log_q = log_softmax(logits.data, temperature)
    apart = log_q - np.maximum(log_p, LOWEST)
    q = np.exp(log_q)
    if kind == "forward":
        p = np.exp(log_p)
        each = -(p * apart).sum(axis=-1)
        slope = q - p
    else:
        each = (q * apart).sum(axis=-1)
        slope = q * (apart - each[:, None])
    rows = logits.shape[0]

    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        return (slope * logits.dtype.type(dy * temperature / rows),)

    loss = temperature**2 * each.mean(dtype=np.float64)
    return Tensor(np.asarray(loss, logits.dtype), (logits,), backward)


def filled(logits: np.ndarray, ids: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The teacher's log-probabilities (R, V), those not kept in the student's proportions.

    logits: (R, V) the student's.  ids, kept: (R, k) tokens and the teacher's log-probabilities.
    """
    log_q = log_softmax(logits)
    theirs = np.take_along_axis(log_q, ids, axis=1)
    rest_p = np.maximum(1 - np.exp(kept).sum(axis=1, keepdims=True), LEAST)
    rest_q = np.maximum(1 - np.exp(theirs).sum(axis=1, keepdims=True), LEAST)
    log_q += np.log(rest_p / rest_q).astype(log_q.dtype)
    np.put_along_axis(log_q, ids, kept.astype(log_q.dtype), axis=1)
    return log_q


def turned(x: Tensor, wanted: np.ndarray) -> Tensor:
    """The mean of 1 - cos(x, wanted) over R rows: 0 where a student's vectors lie as the teacher's.

    x: (R, C).  wanted: (R, C), a constant.  Source: Sanh et al. 2019 (DistilBERT), section 2.
    """
    length = np.linalg.norm(x.data, axis=-1, keepdims=True) + 1e-12
    unit = x.data / length
    to = wanted / (np.linalg.norm(wanted, axis=-1, keepdims=True) + 1e-12)
    cosine = (unit * to).sum(axis=-1, keepdims=True)  # (R, 1)

    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        # d cos / dx = (to - cos unit) / |x|
        return ((cosine * unit - to) / length * x.dtype.type(dy / len(unit)),)

    return Tensor(np.asarray(1 - cosine.mean(), x.dtype), (x,), backward)
