"""Which rows of which module a matrix of a block is.

Queries, keys and values are one packed projection here, and so are a gate and what passes it. An
adapter can be put on each part, as PEFT does on models that keep them apart, or on the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from minigrad import Tensor, nn, ops
from minigrad.nn.quantized import dequantize
from minigrad.ops.linear import GATED
from minigrad.ops.linear_packed import linear_packed
from tinygpt.errors import UserError
from tinygpt.model import LanguageModel, ModelShape

Rows = tuple[int, int]  # from, to
Product = nn.Linear | nn.QuantizedLinear
ROWS = 256  # of a quantized matrix that are floats at a time


class Adapted(nn.Module):
    """A module in the place of a product, which can be one again."""

    def merged(self) -> nn.Linear:
        """One float product that computes the same."""
        raise NotImplementedError


def parts(name: str, shape: ModelShape) -> dict[str, Rows]:
    """Matrix -> rows of the module of a dotted name; nothing for what is no matrix of a block."""
    heads, kv_heads, size = shape.heads
    q, k = heads * size, kv_heads * size
    hidden = shape.hidden
    kind = ".".join(name.split(".")[-2:])
    if kind == "attention.qkv":
        return {"q": (0, q), "k": (q, q + k), "v": (q + k, q + 2 * k), "qkv": (0, q + 2 * k)}
    if kind == "cross.q":
        return {"q": (0, q)}
    if kind == "cross.kv":
        return {"k": (0, k), "v": (k, 2 * k)}
    if kind in ("attention.proj", "cross.proj"):
        return {"o": (0, shape.d_model)}
    if kind == "mlp.up" and shape.activation in GATED:
        return {"gate": (0, hidden), "up": (hidden, 2 * hidden)}
    return {"mlp.up": {"up": (0, hidden)}, "mlp.down": {"down": (0, shape.d_model)}}.get(kind, {})


def products(
    model: LanguageModel, targets: Sequence[str]
) -> Iterator[tuple[str, Product, list[Rows]]]:
    """(dotted name, module, rows of the targets in it) of every module that has one."""
    for name, module in model.named_modules():
        if type(module) in (nn.Linear, nn.QuantizedLinear):
            known = parts(name, model.shape)
            rows = [known[target] for target in known if target in targets]
            if rows:
                yield name, module, rows  # type: ignore[misc]


def replace_products(
    model: LanguageModel, targets: Sequence[str], make: Callable[[Product, list[Rows]], nn.Module]
) -> None:
    """Put make(module, rows) in the place of every product that has a target.

    Raises UserError if none has: a typing error would otherwise train nothing.
    """
    found = {id(module): (module, rows) for _, module, rows in products(model, targets)}
    if not found:
        raise UserError(
            f"this model has none of the matrices {', '.join(targets)}, or they are adapted "
            "already. Choose others for method.targets, or merge first."
        )
    nn.replace_modules(
        model, lambda _, module: id(module) in found, lambda module: make(*found[id(module)])
    )


def matrix_shape(base: Product) -> tuple[int, int]:
    """(out, in) of a product."""
    out, inner = base.weight.shape if isinstance(base, nn.Linear) else base.packed.shape
    return out, inner


def product(base: Product, x: Tensor, activated: bool = False) -> Tensor:
    """W act(x) without the bias.  activated: x is act(x) already."""
    activation = None if activated else base.activation
    if isinstance(base, nn.Linear):
        return ops.linear(x, base.weight, None, activation)
    return linear_packed(x, base.packed, None, activation)


def row_lengths(base: Product) -> np.ndarray:
    """Euclidean length of each row of the weight, (out,) float32."""
    if isinstance(base, nn.Linear):
        return np.linalg.norm(base.weight.data, axis=1)
    out, found = matrix_shape(base)[0], []
    for first in range(0, out, ROWS):  # never all of it as floats
        some = dequantize(base.packed, np.arange(first, min(first + ROWS, out)))
        found.append(np.linalg.norm(some, axis=1))
    return np.concatenate(found)


def placed(values: Tensor, rows: Sequence[Rows], out: int) -> Tensor:
    """The values of the parts in their rows, ones elsewhere: (rows of all parts,) -> (out,)."""
    chosen = np.concatenate([np.arange(start, stop) for start, stop in rows])
    whole = np.ones(out, values.dtype)
    whole[chosen] = values.data
    return Tensor(whole, (values,), lambda dy: (dy[chosen],))


def floats(base: Product) -> nn.Linear:
    """The product with a float weight of its own, to be written to."""
    out, inner = matrix_shape(base)
    made = nn.Linear(inner, out, bias=False, activation=base.activation, rng=None)
    made.weight.data[...] = (
        base.weight.data if isinstance(base, nn.Linear) else base.dequantized()
    )
    made.bias = base.bias  # type: ignore[assignment]
    return made
