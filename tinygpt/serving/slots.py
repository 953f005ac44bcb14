"""Where the keys and values of many texts lie, and which of them a new text may take over.

A *slot* holds one text's keys and values. When its answer ends it keeps them: whoever comes next
with a text that begins alike (the same system prompt, the conversation so far) need not have that
beginning read again. A key at position p is a function of the ids 0 .. p alone, and in C of nothing
else to the bit (kernels/numpy_ref/decode.py), so what is taken over is what would be computed.

Read next: engine.py.
"""

from __future__ import annotations

from tinygpt.model import ModelShape
from tinygpt.model.cache import rings


class Slots:
    """Keys and values (L, S, context, Hkv, D) of S texts (../model/cache.py), and their ids.

    The system gives memory to what is written to, so an empty slot costs nothing.
    """

    def __init__(self, shape: ModelShape, count: int, context: int, kv: str):
        self.keys, self.values = rings(shape, kv, count, context)
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
