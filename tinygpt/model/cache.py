"""What generation remembers: the keys and values of every position, layer by layer.

Without it each new token would recompute all earlier ones: T^2/2 steps of work instead of T. The
arrays are allocated once, for the whole context; attention reads the filled part in place.

Bytes: 2 (keys, values) * 4 * layers * batch * context * Hkv D, for M (6 x 256 x 192): 2.4 MB.
"""

from __future__ import annotations

import numpy as np

from tinygpt.model.shape import ModelShape


class LayerCache:
    """One layer's keys and values, (B, context, Hkv, D) each, the first `length` filled."""

    def __init__(self, keys: np.ndarray, values: np.ndarray, length: int):
        self.keys, self.values, self.length = keys, values, length

    def append(self, k: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Store k and v, (B, T, Hkv, D), and return all keys and values so far as views.

        They count once the whole cache has advanced.  Raises ValueError if they do not fit.
        """
        end = self.length + k.shape[1]
        if end > self.keys.shape[1]:
            raise ValueError(
                f"KVCache: position {end} is beyond its {self.keys.shape[1]} positions; "
                "clear() it and feed the last tokens again"
            )
        self.keys[:, self.length : end] = k
        self.values[:, self.length : end] = v
        return self.keys[:, :end], self.values[:, :end]


class KVCache:
    """The caches of all layers of a GPT.

    length: positions filled, one number for all layers. It grows when the last layer has written,
    so a forward pass that is cut short (Ctrl-C) leaves the cache as if it had not begun.
    """

    def __init__(self, shape: ModelShape, batch: int = 1):
        _, kv_heads, head = shape.heads
        size = (2, shape.n_layers, batch, shape.context, kv_heads, head)
        self.keys, self.values = np.zeros(size, dtype=np.float32)  # (L, B, context, Hkv, D) each
        self.length = 0

    def layer(self, index: int) -> LayerCache:
        """One layer's part, for one forward pass."""
        return LayerCache(self.keys[index], self.values[index], self.length)

    def advance(self, positions: int) -> None:
        """Count positions that every layer has written."""
        self.length += positions

    def clear(self) -> None:
        """Forget everything; the memory is kept."""
        self.length = 0
