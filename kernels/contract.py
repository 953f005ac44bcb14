"""A contract: what one op asks of its arrays, written as a line, checked before any kernel runs.

Compiled code trusts its arguments: there a wrong shape is foreign memory, a wrong dtype garbage, a
read-only page the end of the process. So each op begins, on every backend, with its line of
contracts.py, which says what the op takes:

    layernorm_backward = Contract(
        "layernorm", "dy (..., C), s (..., C), weight (C), mean (R), rstd (R), ds (..., C) optional"
    )

A name in brackets is one size wherever it stands, `...` any axes, R their product (the rows), and
`*` any axes that are each array's own. All arrays are of one floating dtype but for those called
int, int8 or uint8. What is saved for backward is an argument like any other.

    R, C = layernorm_backward.check(dy, s, weight, mean, rstd, ds)      numpy_ref: any float dtype
    arrays, (R, C) = layernorm_backward.ready(dy, s, weight, ...)       C and Numba: float32

**Wrong or inconvenient.** A wrong shape is a ValueError, a wrong dtype a TypeError. An array that
is only read, and right but for how it lies in memory (gaps, another order, an address that is no
multiple of its items' size), is copied. One that is `written` cannot be replaced by a copy: it must
be C-contiguous, aligned and writeable.

**Cost.** What is right depends on shapes, dtypes and one flag. A training step asks for the same
few every time, so a contract remembers what it has found right: a look-up of 1 to 2 us.

Read next: contracts.py (the lines), checks.py (what shapes do not tell).
"""

from __future__ import annotations

import operator
import re
from math import prod
from typing import Any, NamedTuple

import numpy as np

REMEMBERED = 4096  # calls found right that a contract keeps; a long text has as many lengths

_FLOAT32 = np.dtype(np.float32)
_LOOKS = operator.attrgetter("shape", "dtype", "flags.carray")  # a quarter of a look-up sooner
_BYTES = {"int8": np.dtype(np.int8), "uint8": np.dtype(np.uint8)}
_WORDS = {"optional", "written", "int", *_BYTES, "rows", "matrix"}


class _Parameter(NamedTuple):
    """One array of a contract.

    words: `optional` (may be None), `written`, an integer dtype, and how far a strided view is
    taken as it lies: `rows` if its last axis is contiguous, `matrix` if one of its last two is.
    dtype: in compiled code; None for ids, which int64() takes there.
    """

    name: str
    axes: tuple[str, ...]
    words: frozenset[str]
    dtype: np.dtype | None

    @classmethod
    def read(cls, name: str, axes: str, words: str) -> _Parameter:
        """From the pieces of a contract's text."""
        given = frozenset(words.split())
        assert given <= _WORDS, words
        dtype = next((_BYTES[word] for word in given if word in _BYTES), _FLOAT32)
        split = tuple(axes.split(", ")) if axes else ()
        return cls(name, split, given, None if "int" in given else dtype)


class Contract:
    """What one op takes.

    op: the name in its errors.  text: its arrays, written as above.
    """

    def __init__(self, op: str, text: str):
        self.op, self.text = op, text
        pieces = re.findall(r"(\w+) \(([^)]*)\)((?: \w+)*)", text)
        self.parameters = tuple(_Parameter.read(*piece) for piece in pieces)
        axes = [axis for p in self.parameters for axis in p.axes if axis != "*"]
        self.sizes = tuple(dict.fromkeys("R" if axis == "..." else axis for axis in axes))
        self._right: dict[Any, Any] = {}

    def check(self, *arrays, **known) -> tuple[Any, ...]:
        """The sizes, in the order in which the contract names them (None for one nobody told).

        known: sizes that come from elsewhere (a packed weight).
        Raises TypeError for a wrong dtype or no array, ValueError for a wrong shape or for an array
        that cannot be written in place.
        """
        return self._found(arrays, known)[0]

    def ready(self, *arrays, **known) -> tuple[Any, tuple[Any, ...]]:
        """(arrays, sizes) for compiled code: as `check`, float32, copied where they lie badly."""
        sizes, as_they_are = self._found(arrays, known)
        if as_they_are:
            return arrays, sizes
        pairs = zip(self.parameters, arrays, strict=True)
        return [self._prepared(parameter, array) for parameter, array in pairs], sizes

    def ready_rows(self, *lists) -> list[Any]:
        """The arrays of `ready` for each row of equally long lists, as one look-up."""
        try:
            key = tuple(
                [tuple([(x.shape, x.dtype, x.flags.carray) for x in arrays]) for arrays in lists]
            )
        except AttributeError:
            key = None  # `ready` names it
        rows = list(zip(*lists, strict=True))
        if key is not None and key in self._right:
            return rows
        found = [self._found(row, {}) for row in rows]
        if all(as_they_are for _, as_they_are in found):
            self._remember(key, True)
            return rows
        return [self.ready(*row)[0] for row in rows]

    def _remember(self, key, found) -> None:
        if len(self._right) >= REMEMBERED:
            self._right.clear()
        self._right[key] = found

    def _found(self, arrays, known) -> tuple[tuple[Any, ...], bool]:
        """(sizes, whether compiled code can have all arrays as they are)."""
        try:
            key = tuple([x if x is None else _LOOKS(x) for x in arrays])
        except AttributeError:
            self._not_an_array(arrays)
        whole = (key, *known.values()) if known else key
        found = self._right.get(whole)
        if found is None:
            found = self._examined(key, known)
            self._remember(whole, found)
        return found

    def _examined(self, key, known) -> tuple[tuple[Any, ...], bool]:
        sizes, as_they_are, first = dict(known), True, None
        for i, (parameter, each) in enumerate(zip(self.parameters, key, strict=True)):
            if each is None:
                if "optional" not in parameter.words:
                    raise TypeError(f"{self.op}: {parameter.name} must be an array, not None")
                continue
            shape, dtype, carray = each
            if parameter.dtype == _FLOAT32:
                first = first or (parameter.name, dtype)
            self._check_dtype(parameter, dtype, first)
            expected = _resolved(parameter.axes, sizes)
            if not _fits(shape, parameter.axes, sizes):
                self._misfit(parameter, shape, expected, key[:i])
            if "written" in parameter.words and not carray and "rows" not in parameter.words:
                raise ValueError(
                    f"{self.op}: {parameter.name} {shape} is written in place and cannot be as it "
                    "lies: it must be contiguous, aligned and writeable, as np.array(it) is"
                )
            as_they_are &= parameter.dtype is None or (carray and dtype == parameter.dtype)
        return tuple(sizes.get(name) for name in self.sizes), as_they_are

    def _check_dtype(self, parameter: _Parameter, dtype: np.dtype, first) -> None:
        if parameter.dtype is None:
            if dtype.kind not in "iu":
                raise TypeError(f"{self.op}: {parameter.name} must be integers, not {dtype}")
        elif parameter.dtype != _FLOAT32:
            if dtype != parameter.dtype:
                raise TypeError(
                    f"{self.op}: {parameter.name} must be {parameter.dtype}, not {dtype}"
                )
        elif dtype.kind != "f":
            raise TypeError(f"{self.op}: {parameter.name} must be floating point, not {dtype}")
        elif dtype != first[1]:
            raise TypeError(
                f"{self.op}: {first[0]} is {first[1]} but {parameter.name} is {dtype}; cast one"
            )

    def _misfit(self, parameter: _Parameter, shape, expected: str, before) -> None:
        pairs = zip(self.parameters, before, strict=False)
        others = ", ".join(f"{p.name} {each[0]}" for p, each in pairs if each is not None)
        raise ValueError(
            f"{self.op}: {parameter.name} must have shape {expected}, not {shape}"
            f"{f', beside {others}' if others else ''}. It takes {self.text}"
        )

    def _not_an_array(self, arrays) -> None:
        for parameter, array in zip(self.parameters, arrays, strict=True):
            if array is not None and not isinstance(array, np.ndarray | np.generic):
                raise TypeError(
                    f"{self.op}: {parameter.name} must be an array, not {type(array).__name__}; "
                    "np.asarray makes one"
                ) from None
        raise AssertionError(f"{self.op}: an array without shape, dtype or flags")

    def _prepared(self, parameter: _Parameter, array):
        """The array, or a copy that compiled code can read."""
        if array is None or parameter.dtype is None:
            return array
        if array.dtype != parameter.dtype:
            raise TypeError(
                f"{self.op}: the compiled kernels compute in float32, not {array.dtype}; cast "
                f"{parameter.name}"
            )
        return array if _lies_well(array, parameter.words) else np.array(array, order="C")


def _lies_well(array, words) -> bool:
    """Whether C can read an array where it is.

    NumPy calls an array aligned if its address and all strides are multiples of its items' size.
    """
    flags = array.flags
    if not flags.aligned:
        return False
    if flags.c_contiguous:
        return True
    if "rows" in words:
        return array.strides[-1] == array.itemsize
    return "matrix" in words and array.itemsize in array.strides[-2:]


def _fits(shape, axes, sizes) -> bool:
    """Whether a shape is what its axes say; sizes that were not known are entered."""
    if axes[:1] in (("...",), ("*",)):
        count = len(shape) - len(axes) + 1
        if count < 0:
            return False
        if axes[0] == "...":
            lead, rows = shape[:count], prod(shape[:count])
            if sizes.setdefault("...", lead) != lead or sizes.setdefault("R", rows) != rows:
                return False
        shape, axes = shape[count:], axes[1:]
    pairs = zip(axes, shape, strict=False)
    return len(shape) == len(axes) and all(sizes.setdefault(axis, n) == n for axis, n in pairs)


def _resolved(axes, sizes) -> str:
    """Axes with the sizes that are known: "(3, V)"."""
    shown = [str(sizes.get(axis, axis)) for axis in axes if axis != "..."]
    if axes[:1] == ("...",):
        shown = [*(map(str, sizes["..."]) if "..." in sizes else ["..."]), *shown]
    return f"({shown[0]},)" if len(shown) == 1 else f"({', '.join(shown)})"
