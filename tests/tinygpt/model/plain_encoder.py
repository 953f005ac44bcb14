"""Every encoder of the house once more, by its formulas: float64, one text, one query at a time.

What it shares with a decoder is plain_decoder.py's; here is what differs: who sees whom, how far
apart they are, and the head.
"""

from __future__ import annotations

import bisect

import numpy as np

from tests.tinygpt.model.plain_decoder import ACTIVATIONS, HALF_BEGINS, SLOPES, PlainDecoder, turned

UNGATED = {"swiglu": "silu", "geglu": "gelu"}


def bucket(distance: int) -> int:
    """Of a key `distance` positions before its query (after it: negative): 16 either side."""
    nearest = bisect.bisect_right(HALF_BEGINS, abs(distance)) - 1
    return nearest if distance >= 0 else 16 + nearest


class PlainEncoder(PlainDecoder):
    def logits(self, ids):
        """(T,) -> (T, V)."""
        s, x = self.s, self.w["token_embedding.weight"][ids]
        if s.positions == "learned":
            x = x + self.w["position_embedding.weight"][: len(ids)]
        if s.positions == "sinusoidal":
            x = x + self.sinusoids[: len(ids)]
        if s.norm_place == "post":
            x = self.norm(x, "norm")
        if s.embedding_size is not None:
            x = self.linear(x, "lift")
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
        act = ACTIVATIONS[UNGATED.get(s.activation, s.activation)]
        x = self.norm(act(self.linear(x, "transform")), "transform_norm")
        y = x @ self.w["token_embedding.weight" if s.tied else "output.weight"].T
        y = y + self.w.get("output_bias", 0)
        return y if s.softcap is None else s.softcap * np.tanh(y / s.softcap)

    def attention(self, x, block):
        T, H, Hkv, D = len(x), self.H, self.Hkv, self.D
        heads = self.linear(x, f"{block}.attention.qkv").reshape(T, H + 2 * Hkv, D)
        y = np.zeros((T, H, D))
        for h in range(H):
            shared = H + h // (H // Hkv)
            q, k, v = heads[:, h], heads[:, shared], heads[:, shared + Hkv]
            if self.s.qk_norm:
                q = self.rms(q, f"{block}.attention.q_norm")
                k = self.rms(k, f"{block}.attention.k_norm")
            for i in range(T):
                scores = np.array([self.score(q[i], k[j], h, i, j) for j in range(T)])
                e = np.exp(scores - scores.max())
                y[i, h] = e / e.sum() @ v
        return self.linear(y.reshape(T, H * D), f"{block}.attention.proj")

    def score(self, q, k, head, i, j):
        kind, theta = self.s.positions, self.s.rope_theta
        if kind == "rope":
            q, k = turned(q, i, theta), turned(k, j, theta)
        score = q @ k / np.sqrt(self.D)
        if kind == "alibi":
            score -= SLOPES[self.H][head] * abs(i - j)
        if kind == "relative":
            score += self.w["positions.table.weight"][bucket(i - j), head]
        return score
