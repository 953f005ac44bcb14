"""embedding, differentiable.  What it means: kernels/numpy_ref/embedding.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels import active
from minigrad.ops.dense import dense
from minigrad.tensor import Tensor, plain


def embedding(weight: Tensor, ids: Any) -> Tensor:
    """Rows of a table.  weight: (V, C); ids: any shape, integers.  Returns (*ids.shape, C)."""
    index = np.array(plain(ids), order="C")  # a copy: backward reads it, the caller may change his
    rows = len(weight.data)
    y = active.embedding_forward(dense(weight), index)
    return Tensor(y, (weight,), lambda dy: (active.embedding_backward(dy, index, rows),))
