"""Kernels read C-contiguous arrays; this makes one where a view is not."""

from __future__ import annotations

import numpy as np

from minigrad.tensor import Tensor


def dense(x: Tensor) -> np.ndarray:
    """x.data, copied only if it is not C-contiguous.  Raises TypeError for a bare array."""
    if not isinstance(x, Tensor):
        raise TypeError(f"expected a Tensor, not {type(x).__name__}; wrap it: Tensor(array)")
    data = x.data
    return data if data.flags.c_contiguous else data.copy(order="C")
