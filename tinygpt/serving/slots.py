"""Where the keys and values of many texts lie, and which of them a new text may take over.

A *slot* holds one text's keys and values. When its answer ends it keeps them: whoever comes next
with a text that begins alike (the same system prompt, the conversation so far) need not have that
beginning read again. A key at position p is a function of the ids 0 .. p alone, and in C of nothing
else to the bit (kernels/numpy_ref/decode.py), so what is taken over is what would be computed.

Read next: engine.py.
"""

from __future__ import annotations

import numpy as np

from tinygpt.errors import UserError
from tinygpt.model import ModelShape


class Slots:
    """Keys and values (L, S, context, Hkv, D) float32 of S texts, and the ids that they belong to.

    The system gives memory to what is written to, so an empty slot costs nothing.
    """

    def __init__(self, shape: ModelShape, count: int, context: int):
        _, kv_heads, head = shape.heads
        size = (shape.n_layers, count, context, kv_heads, head)
        try:
            self.keys, self.values = np.zeros(size, np.float32), np.zeros(size, np.float32)
        except (MemoryError, ValueError) as error:
            raise UserError(
                f"the keys and values of {count} texts of {context} tokens take "
                f"{8 * np.prod(size, dtype=float) / 1e9:.0f} GB, more than there is. Serve fewer "
                "at once, or a shorter context."
            ) from error
        self.ids: list[list[int]] = [[] for _ in range(count)]
        self._free = list(range(count))  # longest unused first

    @property
    def free(self) -> int:
        """Slots that no text under way is in."""
        return len(self._free)

    def take(self, prompt: tuple[int, ...], reuse: bool) -> int:
        """A free slot, which holds the longest beginning of `prompt` that any slot has.

        At least one token is left to be read: what follows it is asked for.
        reuse: False leaves everything to be read.  Sets ids[slot] to what it holds.
        """
        best, most = None, 0
        for slot, ids in enumerate(self.ids if reuse else []):
            shared = common(ids, prompt[:-1])
            if shared > most:
                best, most = slot, shared
        target = best if best in self._free else self._free[0]
        if best is not None and target != best:
            for array in (self.keys, self.values):
                array[:, target, :most] = array[:, best, :most]
        self._free.remove(target)
        self.ids[target] = list(prompt[:most])
        return target

    def leave(self, slot: int) -> None:
        """The text in a slot is over; what it holds may be taken over."""
        self._free.append(slot)


def common(a: list[int], b: tuple[int, ...]) -> int:
    """How many ids two texts begin with alike."""
    count = min(len(a), len(b))
    for i in range(count):
        if a[i] != b[i]:
            return i
    return count
