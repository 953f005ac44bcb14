"""Every encoder-decoder of the house once more, by its formulas: float64, one row, one query at a
time, no padding.  As plain_decoder.py, of which it shares what is the same in both."""

from __future__ import annotations

import bisect

import numpy as np

from tests.tinygpt.model.plain_decoder import HALF_BEGINS, SLOPES, PlainDecoder


def bucket_both_ways(distance: int) -> int:
    """Of a key `distance` positions before its query; keys behind it have the upper 16."""
    return bisect.bisect_right(HALF_BEGINS, abs(distance)) - 1 + (16 if distance < 0 else 0)


class Half(PlainDecoder):
    """One stack; its weights begin with `prefix`."""

    def __init__(self, weights, shape, sinusoids, prefix):
        own = {k.removeprefix(prefix): w for k, w in weights.items() if k.startswith(prefix)}
        super().__init__(own, shape, sinusoids)

    def through(self, x, memory=None):
        """(T, C) token vectors -> (T, C)."""
        s = self.s
        if s.positions == "learned":
            x = x + self.w["position_embedding.weight"][: len(x)]
        if s.positions == "sinusoidal":
            x = x + self.sinusoids[: len(x)]
        if s.norm_place == "post":
            x = self.norm(x, "norm")
        halves = [("norm1", self.attention), ("norm2", self.mlp)]
        if memory is not None:
            halves.insert(1, ("cross_norm", lambda y, block: self.cross(y, memory, block)))
        blocks = s.n_blocks or s.n_layers
        for layer in range(s.n_layers):
            block = f"blocks.{layer * blocks // s.n_layers}"
            for norm, half in halves:
                if s.norm_place == "post":
                    x = self.norm(x + half(x, block), f"{block}.{norm}")
                else:
                    x = x + half(self.norm(x, f"{block}.{norm}"), block)
        return x if s.norm_place == "post" else self.norm(x, "norm")

    def cross(self, x, memory, block):
        """Queries of x, keys and values of a memory (S, C)."""
        T, S, H, Hkv, D = len(x), len(memory), self.H, self.Hkv, self.D
        queries = self.linear(x, f"{block}.cross.q").reshape(T, H, D)
        both = self.linear(memory, f"{block}.cross.kv").reshape(S, 2 * Hkv, D)
        y = np.zeros((T, H, D))
        for h in range(H):
            shared = h // (H // Hkv)
            q, k, v = queries[:, h], both[:, shared], both[:, shared + Hkv]
            if self.s.qk_norm:
                q = self.rms(q, f"{block}.cross.q_norm")
                k = self.rms(k, f"{block}.cross.k_norm")
            for i in range(T):
                e = np.exp(k @ q[i] / np.sqrt(D))
                y[i, h] = e / e.sum() @ v
        return self.linear(y.reshape(T, H * D), f"{block}.cross.proj")


class EncoderHalf(Half):
    """Every position sees all of them."""

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
                e = np.exp([self.score(q[i], k[j], h, i, j) for j in range(T)])
                y[i, h] = e / e.sum() @ v
        return self.linear(y.reshape(T, H * D), f"{block}.attention.proj")

    def score(self, q, k, head, i, j):
        if self.s.positions == "alibi":
            return q @ k / np.sqrt(self.D) - SLOPES[self.H][head] * abs(i - j)
        if self.s.positions == "relative":
            learned = self.w["positions.table.weight"][bucket_both_ways(i - j), head]
            return q @ k / np.sqrt(self.D) + learned
        return super().score(q, k, head, i, j)


class PlainEncoderDecoder:
    """weights: arrays by our parameter names; shape: a ModelShape, read for its numbers only."""

    def __init__(self, weights, shape, sinusoids):
        self.w = {name: np.asarray(array, np.float64) for name, array in weights.items()}
        self.s = shape
        self.encoder = EncoderHalf(self.w, shape, sinusoids, "encoder.")
        self.decoder = Half(self.w, shape, sinusoids, "decoder.")

    def logits(self, source, ids):
        """(S,), (T,) -> (T, V)."""
        table = self.w["token_embedding.weight"]
        memory = self.encoder.through(table[source])
        x = self.decoder.through(table[ids], memory)
        y = x @ (table if self.s.tied else self.w["output.weight"]).T
        return y if self.s.softcap is None else self.s.softcap * np.tanh(y / self.s.softcap)
