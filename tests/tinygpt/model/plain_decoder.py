"""Every decoder of the house once more, by its formulas: float64, one row, one query at a time.

An oracle that shares no code with ours.  Tables whose rule is easy to get wrong stand here as
numbers: ALiBi's slopes, and the distances at which T5's buckets begin.
"""

from __future__ import annotations

import bisect
import math

import numpy as np

SLOPES = {  # 2^(-8 k / H); for six heads those of four, then the 1st and 3rd of eight
    4: [2**-2, 2**-4, 2**-6, 2**-8],
    6: [2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3],
}
BUCKET_BEGINS = [  # a decoder's 32 buckets; the last holds all that is further away
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113,
]
HALF_BEGINS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91]  # an encoder's, either side


def bucket(distance: int) -> int:
    """Of a key `distance` positions before its query, in a decoder."""
    return bisect.bisect_right(BUCKET_BEGINS, distance) - 1


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def silu(x):
    return x / (1 + np.exp(-x))


ACTIVATIONS = {
    "gelu": gelu, "gelu_erf": lambda x: x * (1 + np.vectorize(math.erf)(x / 2**0.5)) / 2,
    "relu": lambda x: np.maximum(x, 0), "relu2": lambda x: np.maximum(x, 0) ** 2,
    "silu": silu, "swiglu": silu, "geglu": gelu,
}


def turned(x, position, theta):
    """A head (D,) as D / 2 complex numbers, coordinate d the real part and d + D / 2 the imaginary,
    the i-th multiplied by e^(i position theta^(-2 i / D))."""
    pairs = len(x) // 2
    angles = position * theta ** (-np.arange(pairs) / pairs)
    z = (x[:pairs] + 1j * x[pairs:]) * np.exp(1j * angles)
    return np.concatenate([z.real, z.imag])


class PlainDecoder:
    """weights: arrays by our parameter names; shape: a ModelShape, read for its numbers only."""

    def __init__(self, weights, shape, sinusoids):
        self.w = {name: np.asarray(array, np.float64) for name, array in weights.items()}
        self.s, self.sinusoids = shape, sinusoids
        self.H = shape.n_heads
        self.Hkv = shape.n_kv_heads or shape.n_heads
        self.D = shape.head_dim or shape.d_model // shape.n_heads

    def logits(self, ids):
        """(T,) -> (T, V)."""
        s, x = self.s, self.w["token_embedding.weight"][ids]
        if s.smear:
            x = x + np.vstack([0 * x[:1], x[:-1]]) * self.w["smear.weight"]
        if s.bigrams:
            before = np.concatenate([[0], np.asarray(ids[:-1]) + 1])
            x = x + self.w["bigrams.weight"][before * s.vocab_size + ids]
        if s.positions == "learned":
            x = x + self.w["position_embedding.weight"][: len(ids)]
        if s.positions == "sinusoidal":
            x = x + self.sinusoids[: len(ids)]
        if s.norm_place == "post":
            x = self.norm(x, "norm")
        blocks = s.n_blocks or s.n_layers
        for layer in range(s.n_layers):
            block = f"blocks.{layer * blocks // s.n_layers}"
            for norm, half in (("norm1", self.attention), ("norm2", self.mlp)):
                if s.norm_place == "post":
                    x = self.norm(x + half(x, block), f"{block}.{norm}")
                else:
                    x = x + half(self.norm(x, f"{block}.{norm}"), block)
        if s.norm_place == "pre":
            x = self.norm(x, "norm")
        head = "token_embedding" if s.tied else "output"
        y = x @ self.w[f"{head}.weight"].T
        return y if s.softcap is None else s.softcap * np.tanh(y / s.softcap)

    def linear(self, x, name):
        return x @ self.w[f"{name}.weight"].T + self.w.get(f"{name}.bias", 0)

    def norm(self, x, name):
        if self.s.norm == "rmsnorm":
            return self.rms(x, name)
        x = x - x.mean(-1, keepdims=True)
        return self.rms(x, name) + self.w.get(f"{name}.bias", 0)

    def rms(self, x, name):
        mean = (x**2).mean(-1, keepdims=True)
        return x / np.sqrt(mean + self.s.eps) * self.w[f"{name}.weight"]

    def mlp(self, x, block):
        h, act = self.linear(x, f"{block}.mlp.up"), ACTIVATIONS[self.s.activation]
        if self.s.activation in ("swiglu", "geglu"):
            half = h.shape[1] // 2
            h = act(h[:, :half]) * h[:, half:]
        else:
            h = act(h)
        return self.linear(h, f"{block}.mlp.down")

    def attention(self, x, block):
        T, H, Hkv, D = len(x), self.H, self.Hkv, self.D
        heads = self.linear(x, f"{block}.attention.qkv").reshape(T, H + 2 * Hkv, D)
        y = np.zeros((T, H, D))
        for h in range(H):
            shared = H + h // (H // Hkv)  # the first H / Hkv query heads read the first key head
            q, k, v = heads[:, h], heads[:, shared], heads[:, shared + Hkv]
            if self.s.qk_norm:
                q = self.rms(q, f"{block}.attention.q_norm")
                k = self.rms(k, f"{block}.attention.k_norm")
            for i in range(T):
                first = 0 if self.s.window is None else max(0, i - self.s.window + 1)
                scores = [self.score(q[i], k[j], h, i, j) for j in range(first, i + 1)]
                e = np.exp(np.array(scores) - max(scores))
                y[i, h] = e / e.sum() @ v[first : i + 1]
        return self.linear(y.reshape(T, H * D), f"{block}.attention.proj")

    def score(self, q, k, head, i, j):
        """Of the query at i and the key at j <= i."""
        kind, theta = self.s.positions, self.s.rope_theta
        if kind == "rope":
            q, k = turned(q, i, theta), turned(k, j, theta)
        score = q @ k / np.sqrt(self.D)
        if kind == "alibi":
            score -= self.s.alibi_scale * SLOPES[self.H][head] * (i - j)
        if kind == "relative":
            score += self.w["positions.table.weight"][bucket(i - j), head]
        return score
