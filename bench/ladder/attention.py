"""Causal attention: from a matrix of all pairs to one that never exists.

Query i may look at the keys j <= i, so half of all pairs, T (T + 1) / 2, are needed; each costs 2 D
operations for its score and 2 D for its share of the result. That count is the work here: whoever
computes the masked half as well has only half the rate to show for it.
"""

from __future__ import annotations

import math

import numpy as np

from bench.ladder.runner import Ladder, Rung, c_rungs

BATCH, HEADS, DIM, TIME = 4, 6, 64, 512


def naive_python(q, k, v):
    """For each query: scores of its keys, softmax, weighted sum of the values."""
    B, T, H, D = q.shape
    y = np.zeros((B, T, H, D))
    scale = 1 / math.sqrt(D)
    for b in range(B):
        for h in range(H):
            Q, K, V = (array[b, :, h].tolist() for array in (q, k, v))
            for i in range(T):
                scores = [scale * sum(x * z for x, z in zip(Q[i], K[j], strict=True))
                          for j in range(i + 1)]
                top = max(scores)
                weights = [math.exp(score - top) for score in scores]
                total = sum(weights)
                for d in range(D):
                    y[b, i, h, d] = sum(w * V[j][d] for j, w in enumerate(weights)) / total
    return y


def numpy_matrix(q, k, v):
    # Two matrix products for each head do the arithmetic. But the (T, T) matrix of all pairs is
    # made, masked, exponentiated and divided in memory: 25 MB for 24 heads of 512 tokens, and half
    # of it is masked away.
    q, k, v = (array.transpose(0, 2, 1, 3) for array in (q, k, v))
    T = q.shape[2]
    scores = q @ k.swapaxes(-1, -2) / q.dtype.type(math.sqrt(q.shape[-1]))
    scores += np.triu(np.full((T, T), -np.inf, q.dtype), 1)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    scores /= scores.sum(-1, keepdims=True)
    return (scores @ v).transpose(0, 2, 1, 3)


def numpy_tiled(q, k, v, rows=128):
    # A block of 128 queries at a time meets only the keys up to its own end: a good third of the
    # masked work is never done, and the block of scores stays in the cache. The division waits for
    # the result, which is narrower than the scores.
    B, T, H, D = q.shape
    y = np.empty_like(q)
    scale = q.dtype.type(1 / math.sqrt(D))
    mask = np.triu(np.full((rows, rows), -np.inf, q.dtype), 1)
    for b in range(B):
        for h in range(H):
            for start in range(0, T, rows):
                end = min(start + rows, T)
                scores = (q[b, start:end, h] * scale) @ k[b, :end, h].T
                scores[:, start:] += mask[: end - start, : end - start]
                scores -= scores.max(-1, keepdims=True)
                np.exp(scores, scores)
                total = scores.sum(-1, keepdims=True)
                y[b, start:end, h] = (scores @ v[b, :end, h]) / total
    return y


def rungs() -> list[Rung]:
    """From the ground up."""
    from kernels import numba_jit

    return [
        Rung("naive Python", "the definition", naive_python, 16),
        Rung("NumPy, T x T", "matrix products for all queries at once", numpy_matrix, TIME),
        Rung("NumPy, tiled", "blocks of queries skip the keys that are masked", numpy_tiled, TIME),
        Rung(
            "Numba", "compiled: running maximum and sum, no pass over the scores; all cores",
            lambda *a: numba_jit.attention_forward(*a)[0], TIME,
        ),
        *c_rungs(
            "attention_forward", TIME,
            {
                "generic": "tiles of scores never leave the core; softmax as they come",
                "avx2": "eight numbers at a time, products from registers",
                "avx512": "sixteen at a time, exp in registers",
            },
            first=lambda results: results[0],
        ),
    ]


def inputs(T: int, rng: np.random.Generator) -> tuple:
    return tuple(rng.standard_normal((BATCH, T, HEADS, DIM), dtype=np.float32) for _ in range(3))


LADDER = Ladder(
    op="attention",
    unit="GFLOP/s",
    what=f"causal, batch {BATCH}, {HEADS} heads of {DIM}, {TIME} tokens",
    inputs=inputs,
    work=lambda T: 4.0 * DIM * BATCH * HEADS * T * (T + 1) / 2,
    reference=numpy_matrix,
    rungs=rungs,
)
