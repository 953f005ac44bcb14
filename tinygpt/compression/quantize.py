"""Make a model smaller in place: every matrix to one of five schemes, all alike or each its own.

Norm weights stay float32 (a thousandth of the model). Positions are int8 under every scheme: they
are only read, never multiplied by, and 4 bits of them would save nothing that can be seen.

Read next: minigrad/nn/quantized.py (how a matrix is rounded), quality.py (what it costs).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from minigrad import nn
from minigrad.nn import QuantizedEmbedding, QuantizedLinear, replace_modules
from minigrad.nn.quantized import SCHEMES
from tinygpt.errors import UserError
from tinygpt.model import LanguageModel
from tinygpt.weights.quantized import quantizable

M = TypeVar("M", bound=nn.Module)


def scheme_of(name: str, scheme: str) -> str:
    """The scheme that a module gets when the model is made `scheme`."""
    return "int8" if name.endswith(("position_embedding", "positions.table")) else scheme


def quantized(name: str, module: Any, scheme: str) -> nn.Module:
    """The quantized form of a Linear or Embedding.

    Raises UserError for an unknown scheme or weights that are not finite.
    """
    if scheme not in SCHEMES:
        raise UserError(f"there is no scheme {scheme!r}. Choose one of: {', '.join(SCHEMES)}.")
    if not np.isfinite(module.weight.data).all():
        raise UserError(
            f"the weights of {name} hold nan or infinity, which no integer can stand for. "
            "Quantize an earlier checkpoint, or train again."
        )
    if type(module) is nn.Linear:
        return QuantizedLinear.from_linear(module, scheme_of(name, scheme))
    return QuantizedEmbedding.from_embedding(module, scheme_of(name, scheme))


def quantize_model(model: M, scheme: str | Mapping[str, str]) -> M:
    """Replace every matrix of `model`, in place; returns it.  Raises UserError as `quantized`.

    scheme: of all, or of each by its name (budget.py chooses).
    """
    names = {id(module): name for name, module in quantizable(model).items()}
    if not names:
        raise UserError("this model is quantized already. Quantize the run it came from.")
    replace_modules(
        model,
        lambda _, module: id(module) in names,
        lambda module: quantized(
            name := names[id(module)], module, scheme if isinstance(scheme, str) else scheme[name]
        ),
    )
    model.eval()
    return model


@contextmanager
def only_quantized(model: LanguageModel, name: str, scheme: str) -> Iterator[None]:
    """One module of a float model quantized, for the length of a with block."""
    before = quantizable(model)[name]
    after = quantized(name, before, scheme)
    replace_modules(model, lambda _, module: module is before, lambda _: after)
    try:
        yield
    finally:
        replace_modules(model, lambda _, module: module is after, lambda _: before)
