"""What the pattern of an error gives away.

`suspect` looks at a wrong gradient beside the right one (from differences) and names the likely
mistake. It never decides anything: the check has failed already.
"""

from __future__ import annotations

import numpy as np

CLOSE = 1e-4  # relative: patterns are looked for in numbers from differences


def suspect(got: np.ndarray, right: np.ndarray) -> str:
    """One sentence on how `got` differs from `right` (same shape; nan where nothing is known)."""
    known = np.isfinite(right)
    if not np.isfinite(got[known]).all():
        return "the gradient holds nan or inf: a division by zero or an overflow in backward"
    g, r = got[known], right[known]
    size = float(np.linalg.norm(r))
    if not np.any(g):
        return "the gradient is zero: a detached or forgotten path, or a backward not written yet"
    wrong = np.abs(g - r) > CLOSE * max(np.abs(r).max(initial=0), size / max(r.size, 1) ** 0.5)
    if not size:
        return "the gradient should be zero: the output does not depend on this argument"
    ratio = float(g @ r / (r @ r))
    if np.linalg.norm(g - ratio * r) <= CLOSE * np.linalg.norm(g):
        return _factor(ratio, got.shape)
    if wrong.sum() == 1:
        return "a single element is wrong, the others are right: an index or a boundary case"
    return _layout(got, right) or _constant(got, right) or _part(wrong)


def shape_suspect(got: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """What a gradient of the wrong shape suggests."""
    if len(got) >= len(expected):
        tail = got[len(got) - len(expected) :]
        if all(e in (1, n) for n, e in zip(tail, expected, strict=True)):
            axes = [i for i in range(len(got) - len(expected))]
            axes += [
                len(got) - len(expected) + i
                for i, (n, e) in enumerate(zip(tail, expected, strict=True))
                if e == 1 and n != 1
            ]
            return f"a missing broadcast reduction: sum over the axes {tuple(axes)}"
    if got == expected[::-1]:
        return "a transpose: the axes are in reverse order"
    return "the gradient must have the shape of its argument"


def _factor(ratio: float, shape: tuple[int, ...]) -> str:
    if abs(ratio + 1) < CLOSE:
        return "the sign is flipped everywhere"
    wanted = 1 / ratio
    sizes = [n for n in shape if n > 1]
    for n in (*sizes, int(np.prod(shape, dtype=int))):
        if n > 1 and abs(abs(ratio) * n - 1) < CLOSE:
            return f"{n} times too small: {_either(n)} a mean where a sum belongs"
        if n > 1 and abs(abs(ratio) / n - 1) < CLOSE:
            return f"{n} times too large: {_either(n)} a sum where a mean belongs"
    return f"every element should be {wanted:.6g} times what it is: a constant factor is missing"


def _either(n: int) -> str:
    return f"a constant factor or, since an axis has length {n},"


def _layout(got: np.ndarray, right: np.ndarray) -> str | None:
    """A transpose: the right numbers in the order of swapped axes."""
    if got.ndim < 2 or not np.isfinite(right).all():
        return None
    swapped = right.swapaxes(-1, -2)
    for candidate in (swapped.reshape(got.shape), _unswapped(right)):
        if np.linalg.norm(got - candidate) <= CLOSE * np.linalg.norm(right):
            return "the right numbers in the wrong places: a transpose"
    return None


def _unswapped(right: np.ndarray) -> np.ndarray:
    return right.reshape(*right.shape[:-2], right.shape[-1], right.shape[-2]).swapaxes(-1, -2)


def _constant(got: np.ndarray, right: np.ndarray) -> str | None:
    """A missing term that is the same along an axis: a sum or mean was not differentiated."""
    missing = right - got
    for axis in range(got.ndim):
        if got.shape[axis] > 1 and np.isfinite(missing).all():
            spread = missing - missing.mean(axis=axis, keepdims=True)
            if np.linalg.norm(spread) <= CLOSE * np.linalg.norm(missing):
                return (
                    f"what is missing is the same all along axis {axis}: the term of a sum or mean "
                    "over that axis was dropped"
                )
    return None


def _part(wrong: np.ndarray) -> str:
    count = int(wrong.sum())
    if count < wrong.size:
        return f"{count} of {wrong.size} elements are wrong, the others are right"
    return "every element is wrong, without a simple pattern: a term of the derivative is missing"
