"""A weight matrix seen from outside: how its values lie, what it stretches, what rounding costs it.

Read next: inspect.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minigrad import nn
from minigrad.nn.quantized import SCHEMES, dequantize, quantize
from tinygpt.errors import UserError
from tinygpt.model import LanguageModel

MOST_ROWS = 4096


@dataclass(frozen=True)
class MatrixSeen:
    """shape: (out, in).  counts, edges: of a histogram of its values, (bins,) and (bins + 1,).
    rows: how many of its rows, equally far apart, the histogram and the errors are of.
    singular: its singular values, largest first.  effective: exp of the entropy of their squares'
    shares, as many equal ones would be as spread out (Roy and Vetterli 2007).
    errors: by scheme, |rounded - weight| / |weight|, both as Frobenius norms."""

    shape: tuple[int, int]
    counts: np.ndarray
    edges: np.ndarray
    singular: np.ndarray
    effective: float
    errors: dict[str, float]
    rows: int


def matrix_names(model: LanguageModel) -> list[str]:
    """The names of a model's weights that are matrices, floats or rounded, in its order."""
    return [name for name, module in model.named_modules() if values_of(module) is not None]


def matrix_of(model: LanguageModel, name: str) -> np.ndarray:
    """The values of the matrix in the module `name`, (out, in) float32.  Raises UserError."""
    found = dict(model.named_modules()).get(name)
    values = None if found is None else values_of(found)
    if values is None:
        raise UserError(
            f"{name!r} is no matrix of this model. There are: {', '.join(matrix_names(model))}."
        )
    return values


def look_at(weight: np.ndarray, bins: int = 41) -> MatrixSeen:
    """weight: (out, in) float32.

    Of a tall matrix the histogram and the errors are those of MOST_ROWS rows: a table of 49,152
    tokens would take seconds.
    """
    reach = float(np.abs(weight).max(initial=0.0)) or 1.0
    some = weight[:: -(-len(weight) // MOST_ROWS)]
    counts, edges = np.histogram(some, bins=bins, range=(-reach, reach))
    singular = singular_values(weight)
    shares = singular**2 / max(float((singular**2).sum()), 1e-300)
    spread = float(np.exp(-(shares * np.log(np.maximum(shares, 1e-300))).sum()))
    errors = {scheme: rounding_error(some, scheme) for scheme in SCHEMES}
    return MatrixSeen(weight.shape, counts, edges, singular, spread, errors, len(some))


def singular_values(weight: np.ndarray) -> np.ndarray:
    """Of (out, in), largest first, float64: the roots of the eigenvalues of the smaller square.

    Exact to 1e-8 of the largest, and many times faster than of the matrix itself where it is tall.
    """
    low = weight if len(weight) <= weight.shape[1] else weight.T
    square = np.zeros((len(low), len(low)))
    for at in range(0, low.shape[1], MOST_ROWS):
        part = low[:, at : at + MOST_ROWS].astype(np.float64)
        square += part @ part.T
    return np.sqrt(np.maximum(np.linalg.eigvalsh(square)[::-1], 0))


def rounding_error(weight: np.ndarray, scheme: str) -> float:
    """What a scheme of `tinygpt quantize` changes in a matrix, as a part of the matrix."""
    rounded = dequantize(quantize(weight, scheme))
    return float(np.linalg.norm(rounded - weight) / max(float(np.linalg.norm(weight)), 1e-300))


def values_of(module: nn.Module) -> np.ndarray | None:
    """The matrix that a module holds itself, (out, in) float32; None for one that holds none."""
    if isinstance(module, nn.QuantizedLinear | nn.QuantizedEmbedding):
        return module.dequantized()
    if isinstance(module, nn.Linear | nn.Embedding):
        return module.weight.data
    return None
