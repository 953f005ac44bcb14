"""Better four bits: choose the code of a weight by what it reads, not by what is nearest.

    gptq    round a column, and let the columns after it make up for its error (second_order.py)
    awq     scale up the inputs' channels that matter before rounding, and scale them down where
            they are made: a large channel's weights are then rounded finely

Both write the int4 of minigrad/nn/quantized.py: groups of 32 with a scale each, so files and
kernels are as before. With H a multiple of the identity gptq is rounding to the nearest, and so is
awq with exponent 0: these are tests.

Read first: calibration.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from minigrad import nn
from minigrad.nn import QuantizedLinear, replace_modules
from minigrad.nn.quantized import GROUP, Packed, dequantize, int4_codes, int4_scales, pack_int4
from minigrad.nn.quantized import quantize as nearest
from tinygpt.compression.calibration import LIMIT, Inputs, calibrate, linears, walk
from tinygpt.compression.quantize import quantize_model
from tinygpt.compression.second_order import Fix, damage, solve
from tinygpt.errors import UserError
from tinygpt.model import LanguageModel

Tell = Callable[[int, int], object]  # (blocks done, blocks in all)
EXPONENTS = tuple(i / 20 for i in range(20))


def gptq(weight: np.ndarray, second: np.ndarray) -> Packed:
    """Round (N, K) float32 to int4 such that W x changes least.

    second: H of what it reads, (K, K).  The scale of a group is found when the sweep reaches it,
    for the values that its weights have by then.
    Source: Frantar et al. 2023 (GPTQ), algorithm 1; in the order of the columns.
    """
    size, scales = GROUP["int4"], []

    def look(block: np.ndarray, roots: np.ndarray) -> Fix:
        padded = np.zeros((len(block), size), np.float32)
        padded[:, : block.shape[1]] = block
        scale = int4_scales(padded)  # (N, 1)
        scales.append(scale)
        return lambda j, column: _rounded(column, scale[:, 0])

    made = solve(weight, second, look, size)
    scale = np.concatenate(scales, axis=1)
    spread = np.repeat(scale, size, axis=1)[:, : weight.shape[1]]
    return pack_int4(int4_codes(made.astype(np.float32), spread), scale)


def _rounded(column: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return (int4_codes(column.astype(np.float32), scale).astype(np.float32) - 8) * scale


@dataclass(frozen=True)
class Scaled:
    """Channels of one reading, scaled.  factor: (K,), what weights are multiplied by."""

    exponent: float
    factor: np.ndarray
    damage: float


def awq_scale(
    weights: Sequence[np.ndarray], inputs: Inputs, exponents: Sequence[float] = EXPONENTS
) -> Scaled:
    """The factors of the channels that several matrices read, chosen by what rounding then costs.

        factor = size^a / sqrt(max size^a * min size^a),    a in 0, 0.05, ... 0.95

    so a = 0 is rounding to the nearest, and larger a protects channels with large inputs.
    weights: (N, K) each, all of the same input.
    Source: Lin et al. 2024 (AWQ), section 3.2.
    """
    size = np.maximum(inputs.size, 1e-6 * max(1e-12, float(inputs.size.max())))
    best = None
    for a in exponents:
        factor = size**a
        factor = (factor / np.sqrt(factor.max() * factor.min())).astype(np.float32)
        cost = sum(_cost(weight, factor, inputs.second) for weight in weights)
        if best is None or cost < best.damage:
            best = Scaled(a, factor, cost)
    if best is None:
        raise ValueError("awq_scale: no exponents")
    return best


def _cost(weight: np.ndarray, factor: np.ndarray, second: np.ndarray) -> float:
    rounded = dequantize(nearest(weight * factor, "int4")) / factor
    return damage((rounded - weight).astype(np.float64), second)


def fold(readers: Sequence[nn.Linear], norm: nn.LayerNorm | nn.RMSNorm, factor: np.ndarray) -> None:
    """Multiply what is read by `readers` by their columns' `factor`, and the norm before by 1/it.

    In place; the float model computes what it did, for W diag(f) diag(1/f) x = W x.
    """
    for reader in readers:
        reader.weight.data = reader.weight.data * factor
    for part in (norm.weight, getattr(norm, "bias", None)):
        if part is not None:
            part.data = (part.data / factor).astype(np.float32)


def gptq_model(
    model: LanguageModel, tokens: Sequence[int], limit: int = LIMIT,
    tell: Tell = lambda done, total: None,
) -> LanguageModel:
    """Every matrix of the blocks to int4 by `gptq`, in place; tables to the nearest.

    A block reads what the blocks before it, rounded already, make of the text.
    tokens, limit: as `calibrate`.  Raises UserError as it, and as `quantize_model`.
    """
    for number, found in enumerate(walk(model, tokens, limit)):
        tell(number, model.shape.blocks)
        wanted = {id(linear): name for name, linear in linears(model).items() if name in found}
        replace_modules(
            model, lambda _, module, wanted=wanted: id(module) in wanted,  # type: ignore[misc]
            lambda module, wanted=wanted, found=found: QuantizedLinear(  # type: ignore[misc]
                gptq(module.weight.data, found[wanted[id(module)]].second),
                module.bias, module.activation,
            ),
        )
    return quantize_model(model, "int4")


def awq_model(
    model: LanguageModel, tokens: Sequence[int], limit: int = LIMIT,
    tell: Tell = lambda done, total: None,
) -> LanguageModel:
    """Scale what each norm makes for the matrices that read it, then round all to int4, in place.

    The projections back read no norm, and are rounded to the nearest.
    tokens, limit: as `calibrate`.  Raises UserError as it; for norms behind their halves, whose
    output other things read as well.
    """
    if model.shape.norm_place == "post":
        raise UserError(
            "awq scales what a norm makes for the matrices behind it, but with norm_place = post "
            "the stream reads that too. Use --method gptq."
        )
    inputs = calibrate(model, tokens, limit)
    blocks = list(model.blocks)  # type: ignore[attr-defined]
    for number, block in enumerate(blocks):
        tell(number, len(blocks))
        for norm, reader, name in (
            (block.norm1, block.attention.qkv, "attention.qkv"),
            (block.norm2, block.mlp.up, "mlp.up"),
        ):
            scaled = awq_scale([reader.weight.data], inputs[f"blocks.{number}.{name}"])
            fold([reader], norm, scaled.factor)
    return quantize_model(model, "int4")
