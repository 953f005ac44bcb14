"""An array whose axes have names: `maps.at(layer=2, head=1)` is what maps[2, 1] was to mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class NamedArray:
    """values: an array.  axes: a name for each axis, each once."""

    values: np.ndarray
    axes: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.axes) != self.values.ndim or len(set(self.axes)) != len(self.axes):
            raise ValueError(f"NamedArray: axes {self.axes} for an array of {self.values.shape}")

    def at(self, **places: int | slice | Sequence[int]) -> NamedArray:
        """What stands at places of some axes; an axis with one place is gone.

        Raises KeyError for an axis that is not there, IndexError for a place that is not.
        """
        if unknown := set(places) - set(self.axes):
            raise KeyError(f"no axis {sorted(unknown)[0]!r}: the axes are {', '.join(self.axes)}")
        kept: list[str] = []
        values = self.values
        for axis in self.axes:  # one after the other, so that lists do not meet each other
            place = places.get(axis, slice(None))
            values = values[(slice(None),) * len(kept) + (place,)]
            if not isinstance(place, int | np.integer):
                kept.append(axis)
        return NamedArray(np.asarray(values), tuple(kept))

    @property
    def sizes(self) -> dict[str, int]:
        """Axis -> its length."""
        return dict(zip(self.axes, self.values.shape, strict=True))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.values, dtype=dtype)

    def __float__(self) -> float:
        return float(self.values)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{axis}: {size}" for axis, size in self.sizes.items())
        return f"NamedArray({sizes})\n{self.values!r}"
