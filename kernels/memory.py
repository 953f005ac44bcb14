"""Where kernels get their buffers from: memory that was used before, not fresh from the system.

A training step frees its activations and the next step wants the same sizes again. Handed back to
the system in between, each page must be fetched, zeroed and mapped anew: a fault for every 4 kB,
which costs as much as reading the page a few times over. So a large buffer that nobody refers to
any more waits here for the next request of its size, and a training step in its steady state asks
the system for nothing.

    a = empty((512, 256))     an ordinary array; when it and all views of it are gone, its block
                              returns to the pool by itself
"""

from __future__ import annotations

import mmap
import threading
import weakref
from collections import defaultdict, deque
from contextlib import suppress
from functools import lru_cache
from math import prod

import numpy as np

HUGE = 1 << 21  # bytes: from here on, ask for pages of 2 MB
SMALLEST = 1 << 15  # bytes: below, malloc keeps what it has freed anyway and is quicker than we are
PATIENCE = 5000  # requests during which a block may lie unused; a training step makes some hundreds

_FLOAT32 = np.dtype(np.float32)
_local = threading.local()


class Block(mmap.mmap):
    """Memory of the system that is lent to one array at a time and comes back by itself."""

    __slots__ = ("_lease",)

    def lend(self, shape, dtype):
        """An array over this block; when it and all views of it are gone, the pool has it again."""
        array = np.ndarray(shape, dtype, self)
        self._lease = weakref.ref(array, self._come_back)  # views keep `array`, it keeps the block
        return array

    def _come_back(self, _lease):
        if pool is not None:  # None: the interpreter is ending
            pool.give_back(self)


class Pool:
    """Free blocks, sorted by size.

    Sizes are rounded up to eight steps per power of two; the rounding is never touched, so it costs
    addresses and not memory. Safe between Python threads: each change is one append or pop.
    """

    def __init__(self) -> None:
        # size in bytes -> (request number when it was freed, block), the longest unused first
        self.free: defaultdict[int, deque[tuple[int, Block]]] = defaultdict(deque)
        self.requests = 0

    def take(self, nbytes: int) -> Block:
        """A block of at least nbytes, its contents arbitrary."""
        self.requests += 1
        size = round_up(nbytes)
        try:
            return self.free[size].pop()[1]
        except IndexError:
            pass
        # A block up to half as large again serves too: backward's buffers find what forward left.
        fits = [n for n, blocks in list(self.free.items()) if size < n <= 1.5 * size and blocks]
        if fits:
            return self.free[min(fits)].pop()[1]
        self.drop_unused()
        return _pages(size)

    def give_back(self, block: Block) -> None:
        """A block that nobody refers to any more."""
        self.free[len(block)].append((self.requests, block))

    def drop_unused(self) -> None:
        """Return to the system what has not been wanted for PATIENCE requests."""
        for blocks in list(self.free.values()):
            with suppress(IndexError):  # another thread may take the last one meanwhile
                while self.requests - blocks[0][0] > PATIENCE:
                    blocks.popleft()

    def clear(self) -> None:
        """Return every free block to the system."""
        self.free.clear()

    def idle_bytes(self) -> int:
        """Bytes that wait for reuse."""
        return sum(size * len(blocks) for size, blocks in list(self.free.items()))


@lru_cache(maxsize=1024)  # a training step asks for the same few sizes
def round_up(nbytes: int) -> int:
    """The next multiple of an eighth of the power of two below nbytes."""
    step = 1 << max(nbytes.bit_length() - 4, 6)
    return -(-nbytes // step) * step


def _pages(nbytes: int) -> Block:
    """Memory from the system: aligned to 4 kB, zeroed and mapped when first touched.

    Private: what a forked child writes is its own, as with any other array (mmap's default is to
    share). Only private memory gets huge pages by this system setting, too.
    """
    private = {"flags": mmap.MAP_PRIVATE} if hasattr(mmap, "MAP_PRIVATE") else {}  # not on Windows
    block = Block(-1, nbytes, **private)
    if nbytes >= HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
        block.madvise(mmap.MADV_HUGEPAGE)  # fewer faults, fewer look-ups of addresses
    return block


pool = Pool()


def empty(shape, dtype=_FLOAT32):
    """An uninitialised C-contiguous array, aligned to 64 bytes from 32 kB on.

    shape: a tuple of sizes (or one size); dtype: any NumPy dtype without Python objects.
    """
    if type(shape) is not tuple:
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
    nbytes = _bytes_of(shape, dtype)
    if nbytes < SMALLEST:
        return np.empty(shape, dtype)
    return pool.take(nbytes).lend(shape, dtype)


@lru_cache(maxsize=1024)  # a training step asks for the same few
def _bytes_of(shape, dtype):
    return prod(shape) * np.dtype(dtype).itemsize


def is_view(array):
    """True if array shows memory of another array, which others may hold as well.

    What `empty` gives is not a view: only the pool is behind it.
    """
    return isinstance(array.base, np.ndarray)


def scratch(size):
    """float32 (size,), uninitialised: the calling thread's until its next call of scratch.

    For what a kernel needs during one call only. It is the same memory each time, so it is warm.
    """
    held = getattr(_local, "scratch", None)
    if held is None or held.size < size:
        held = _local.scratch = empty(max(size, 1 << 16))
    return held[:size]
