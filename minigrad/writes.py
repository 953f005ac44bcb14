"""Writing in place: who wrote to which memory, and when.

A backward closure computes with arrays that forward saved. If they were overwritten in between (an
optimizer's step, `w -= 1` under no_grad, `x[...] = 0`), its gradient would be that of another
function, and nobody would notice. PyTorch counts a version for every tensor and compares when it
unpacks what it saved. Here forward pays nothing: writes are rare, so it is they that leave a mark,
and what a closure saved need not be declared, for its cells show it.

    clock      counts the making of nodes and the writes, in one sequence
    latest     the moment of the last write, so that one comparison rules out most of them
    wrote      marks an array: it, every view of it, and what shares its memory
    refuse_written   raises if anything that a closure holds was marked after a moment

What cannot be seen: a write to a bare NumPy array (`x.data[...] = 0`, `x.numpy()`, the array
behind an operand that is no Tensor), because NumPy tells nobody.

Read next: tensor.py, where Tensor marks its writes; optim/optimizer.py.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np

clock = itertools.count(1)

# id of the array that owns the memory -> (that array, weakly; the moment of its last write). An
# entry leaves with its array, so an id never stands for another.
_marks: dict[int, tuple[weakref.ref[np.ndarray], int]] = {}
latest = 0  # the moment of the last write to anything


def wrote(array: np.ndarray) -> None:
    """Mark the memory of an array as written to now."""
    global latest
    owner = _owner(array)
    key = id(owner)
    marked = _marks.get(key)
    seen = marked[0] if marked else weakref.ref(owner, lambda _: _marks.pop(key, None))
    latest = next(clock)
    _marks[key] = (seen, latest)


def refuse_written(operation: str, holder: Any, since: int) -> None:
    """Raise RuntimeError if an array that `holder` (a closure, a Tensor) holds was written to.

    since: a moment of the clock; writes before it do not matter.  operation: for the words.
    """
    for array in _held(holder):
        mark = _marks.get(id(_owner(array)))
        if mark is not None and mark[1] > since:
            raise RuntimeError(
                f"backward of {operation}: an array of shape {array.shape} that it needs was "
                "written to in place after forward read it (by an optimizer's step, -=, or "
                "x[...] = ...); call backward before writing, or give forward a copy: x.clone()"
            )


def _owner(array: np.ndarray) -> np.ndarray:
    """The array whose memory it is: views of one array share it."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _held(holder: Any) -> Iterator[np.ndarray]:
    """Arrays in the cells of a closure, of closures and containers in these, and of Tensors."""
    waiting, seen = [holder], set()
    while waiting:
        x = waiting.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        if isinstance(x, np.ndarray):
            yield x
        elif isinstance(x, (tuple, list)):
            waiting += x
        elif isinstance(getattr(x, "data", None), np.ndarray):  # a Tensor
            waiting.append(x.data)
        elif callable(x):
            waiting += getattr(x, "__defaults__", None) or ()
            for cell in getattr(x, "__closure__", None) or ():
                with suppress(ValueError):  # a variable that has no value yet
                    waiting.append(cell.cell_contents)
