"""What generation remembers: the keys and values of the last positions, layer by layer.

Without it each new token would recompute all earlier ones: T^2/2 steps of work instead of T.
Attention reads the filled part in place.

Each is a ring: position p lies at place p mod places. A text that goes on beyond the context
(ModelShape.slides) overwrites the oldest key with the newest, and nothing is moved. There are as
many places as a query sees (the context, or a window) only when a text is that long: until then the
arrays grow with it, twice as large each time, so that a context of 40,960 tokens costs what is said
in it. No position has come round in an array that still grows, so growing is one copy.

Bytes: 2 (keys, values) * 4 * layers * batch * places * Hkv D, for M (6 x 256 x 192): 2.4 MB; in
int8 2 * layers * batch * places * Hkv (D + 4), 0.66 MB, for what docs/quantization.md says.
"""

from __future__ import annotations

import math

import numpy as np

from minigrad.ops.decode import SCALE_BYTES, restore_heads, round_heads
from tinygpt.errors import UserError
from tinygpt.model.shape import ModelShape

FEWEST = 64  # places to begin with; a shorter context has fewer
PAGE = 4096  # bytes
KINDS = ("float32", "int8")  # of keys and values


def rings(shape: ModelShape, kv: str, texts: int, places: int) -> tuple[np.ndarray, np.ndarray]:
    """Keys and values of nothing: (L, texts, places, Hkv, D) float32, or (..., D + 4) int8.

    kv: one of KINDS.  Raises ValueError for another, UserError where there is not so much memory.
    """
    size, dtype = _layout(shape, kv)
    return _zeros((size[0], texts, places, *size[1:]), dtype)


def ring_bytes(shape: ModelShape, kv: str, texts: int, places: int) -> int:
    """What `rings` takes, in bytes."""
    size, dtype = _layout(shape, kv)
    return 2 * texts * places * math.prod(size) * dtype.itemsize


def _layout(shape: ModelShape, kv: str) -> tuple[tuple[int, int, int], np.dtype]:
    """(layers, key heads, numbers of a head), and their dtype."""
    _, kv_heads, head = shape.heads
    if kv not in KINDS:
        raise ValueError(f"keys and values are kept in {' or '.join(KINDS)}, not {kv!r}")
    if kv == "int8":
        return (shape.n_layers, kv_heads, head + SCALE_BYTES), np.dtype(np.int8)
    return (shape.n_layers, kv_heads, head), np.dtype(np.float32)


def _zeros(size: tuple[int, ...], dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    try:
        keys, values = np.zeros((2, *size), dtype)
    except (MemoryError, ValueError) as error:  # the second for more bytes than can be counted
        count = 2 * math.prod(size) * dtype.itemsize
        raise UserError(
            f"the keys and values of {size[1] * size[2]} tokens take {count / 1e9:.1f} GB, more "
            "than there is. Write a shorter text, serve fewer at once, give the model a shorter "
            "context, or keep them in bytes: --kv int8."
        ) from error
    return keys, values


class LayerCache:
    """One layer's keys and values, (B, places, Hkv, D) each, or in bytes; `length` positions have
    been."""

    def __init__(self, keys: np.ndarray, values: np.ndarray, length: int):
        self.keys, self.values, self.length = keys, values, length

    def append(self, k: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Store k and v, (B, T, Hkv, D); return what was kept before them and them, oldest first.

        Returns views of the ring where that has not come round, else copies; of bytes what they
        stand for.  They count once the whole cache has advanced.
        """
        if self.keys.dtype != np.int8:
            return self._append(self.keys, k), self._append(self.values, v)
        return (restore_heads(self._append(self.keys, round_heads(k))),
                restore_heads(self._append(self.values, round_heads(v))))

    def _append(self, ring: np.ndarray, new: np.ndarray) -> np.ndarray:
        places, end = ring.shape[1], self.length + new.shape[1]
        if end <= places:
            ring[:, self.length : end] = new
            return ring[:, :end]
        kept = np.arange(max(self.length - places, 0), self.length) % places  # oldest first
        both = np.concatenate([ring[:, kept], new], axis=1)
        ring[:, np.arange(end - places, end) % places] = both[:, -places:]
        return both


class KVCache:
    """The caches of all layers of a GPT.

    length: positions taken in, one number for all layers. It grows when the last layer has written,
    so a forward pass that is cut short (Ctrl-C) leaves the cache as if it had not begun, unless it
    has overwritten what a repetition would read: `ahead` is for those.
    begins: (keys, values), (L, n, Hkv, D) each, that stand before every text: positions 0 to n - 1,
        which are not forgotten (a prefix: ../adapters/prefix.py). Whoever writes beyond the places
        overwrites them.
    last: (B,) ids, the token of the last position; None where there was none.
    arrays: keys and values, (L, B, places, Hkv, D) float32 each or (..., D + 4) int8, others when
        `reserve` finds them too small; one name, so that they are replaced both or not at all.
    """

    def __init__(
        self, shape: ModelShape, batch: int = 1,
        begins: tuple[np.ndarray, np.ndarray] | None = None, kv: str = "float32",
    ):
        self.shape, self.length = shape, 0
        self.last: np.ndarray | None = None
        self.arrays = rings(shape, kv, batch, 0)
        self.reserve(FEWEST)
        self.first = 0 if begins is None else begins[0].shape[1]
        if begins is not None:
            self.reserve(self.first)
            for ring, held in zip(self.arrays, begins, strict=True):
                kept = round_heads(held) if kv == "int8" else held
                ring[:, :, : self.first] = kept[:, None]
            self.length = self.first

    @property
    def keys(self) -> np.ndarray:
        return self.arrays[0]

    @property
    def values(self) -> np.ndarray:
        return self.arrays[1]

    def reserve(self, positions: int) -> None:
        """Have places for that many more positions, as far as a query sees.

        Raises UserError where there is not so much memory.
        """
        sight, places = self.shape.sight, self.keys.shape[2]
        wanted = min(self.length + positions, sight)
        if wanted > places:
            self._grow(min(_whole_pages(max(wanted, 2 * places), self.keys), sight))

    def _grow(self, places: int) -> None:
        layers, batch, _, *head = self.keys.shape
        keys, values = _zeros((layers, batch, places, *head), self.keys.dtype)
        for larger, filled in zip((keys, values), self.arrays, strict=True):
            larger[:, :, : self.length] = filled[:, :, : self.length]
        self.arrays = keys, values

    def layer(self, index: int) -> LayerCache:
        """One layer's part, for one forward pass."""
        return LayerCache(self.keys[index], self.values[index], self.length)

    def advance(self, positions: int, last: np.ndarray) -> None:
        """Count positions that every layer has written, `last` (B,) being the last one's ids."""
        self.length += positions
        self.last = last

    def ahead(self, positions: int) -> KVCache:
        """A cache to take that many more positions in, while this one stays as it is.

        It has the places for them, and shares the arrays where what is written to them is not seen
        from here: in places that are empty, or by one position, which never sees the one that it
        overwrites.
        """
        other = object.__new__(type(self))  # copy.copy, which takes a tenth of a step
        vars(other).update(vars(self))
        other.reserve(positions)
        overwrites = self.length + positions > other.keys.shape[2]
        if overwrites and positions > 1 and other.arrays is self.arrays:
            other.arrays = self.keys.copy(), self.values.copy()
        return other

    def clear(self) -> None:
        """Forget every text; the memory is kept, and what stands before texts."""
        self.length, self.last = self.first, None


def _whole_pages(places: int, keys: np.ndarray) -> int:
    """At least so many places, of which one row and layer fills whole pages."""
    step = PAGE // math.gcd(PAGE, math.prod(keys.shape[3:]) * keys.itemsize)
    return -(-places // step) * step
