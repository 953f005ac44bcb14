"""Take away whole parts: layers, heads, channels of the MLP; or let layers share their weights.

A zero costs as much as any weight; a channel that is gone costs nothing, in any kernel. So this is
the pruning that makes a model faster. Each part is judged by what it adds over a text:

    channel    |column of W_down| |x_j|: what it adds to the stream at most
    heads      of a key head and its queries, sqrt(tr(P H P^T)), P its columns of the projection
               back and H what they read: what they add, exactly
    layer      1 - cos(stream before, stream after), its mean: what it turns (Men et al. 2024)

"sharing" takes no layer away: neighbours get one block, their mean, and each still runs. The file
is smaller and the time the same. Two trained layers are not alike, so the mean of them knows little
until it is healed (distillation.py); of layers that are alike it is what they were.

What goes is made up for: the columns that stay of the matrix behind it (W_down, the projection
back) become those that give what all of them gave, as nearly as they can over the text
(second_order.made_up). Block after block, each reading what the blocks before it make by then.
Half of B's channels gone cost 0.186 nats without that and 0.049 with it.

All layers keep equally many channels and heads, since a shape says one number for all.

Source: Michel et al. 2019 (heads), He et al. 2017 (channels by least squares), Muralidharan et al.
2024 (Minitron: widths and depth by measured importance), Lan et al. 2020 (ALBERT: shared layers).
Read next: budget.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import nn
from minigrad.ops.linear import GATED
from tinygpt.compression.calibration import LIMIT, Inputs, streams, walk
from tinygpt.compression.second_order import made_up
from tinygpt.errors import UserError
from tinygpt.model import LanguageModel, build
from tinygpt.model.shape import ModelShape

PARTS = ("layers", "heads", "channels", "sharing")
MULTIPLE = 16  # channels are kept in multiples of it: quantized weights are panels of 16


def shrink(
    model: LanguageModel, part: str, share: float, tokens: Sequence[int], limit: int = LIMIT
) -> LanguageModel:
    """A new model without the least important `share` of its layers, heads or channels; or, by
    sharing, of its blocks.

    part: one of PARTS.  tokens, limit: as of `calibrate`.
    Raises UserError for a share that takes nothing or everything, for heads whose positions know
    how many there are, and as `calibrate`.
    """
    shape = model.shape
    if shape.assembly != "decoder":
        raise UserError(f"this model is an {shape.assembly}; only a decoder is shrunk so far. "
                        "Quantize it instead: `tinygpt quantize`.")
    if shape.blocks < shape.n_layers:
        raise UserError(
            f"{shape.n_layers} layers share {shape.blocks} blocks, so none can be cut alone. "
            "Choose a smaller n_blocks and train again."
        )
    if part == "layers":
        keep = _kept(influence(model, tokens, limit), share, 1, "layers")
        return without_layers(model, keep)
    if part == "sharing":
        return sharing(model, len(_kept(np.zeros(shape.n_layers), share, 1, "blocks")))
    if part == "heads" and shape.positions in ("alibi", "relative"):
        raise UserError(
            f"with positions = {shape.positions} each head has its own reach, by its number. "
            "Take channels or layers away instead."
        )
    model = _filled(shape, dict(model.state_dict()))  # a copy, which is changed
    parts = _chosen(model, part, share, tokens, limit)
    return with_channels(model, parts) if part == "channels" else with_heads(model, parts)


def _chosen(
    model: Any, part: str, share: float, tokens: Sequence[int], limit: int
) -> list[np.ndarray]:
    """Which channels or heads stay in each block, whose matrices now make up for those that go."""
    keep = []
    for number, found in enumerate(walk(model, tokens, limit)):
        block = model.blocks[number]
        if part == "channels":
            linear, inputs = block.mlp.down, found[f"blocks.{number}.mlp.down"]
            kept = _kept(channel_scores(linear.weight.data, inputs), share, MULTIPLE, part)
            columns = kept
        else:
            linear, inputs = block.attention.proj, found[f"blocks.{number}.attention.proj"]
            heads, kv_heads, size = model.shape.heads
            scores = head_scores(linear.weight.data, inputs, kv_heads)
            kept = _kept(scores, share, 1, part)
            columns = _rows(kept, heads // kv_heads * size)
        made = np.zeros_like(linear.weight.data)
        made[:, columns] = made_up(linear.weight.data, inputs.second, columns)
        linear.weight.data[...] = made
        keep.append(kept)
    return keep


def _kept(scores: np.ndarray, share: float, multiple: int, what: str) -> np.ndarray:
    """Which to keep, in their order: the (1 - share) most important, up to a multiple."""
    whole = len(scores)
    count = min(whole, round((1 - share) * whole / multiple) * multiple)
    if not 0 < count < whole:
        raise UserError(
            f"--share {share:g} of {whole} {what} leaves {count}. Choose a share that takes some "
            "and leaves some."
        )
    return np.sort(np.argsort(-scores, kind="stable")[:count])


def influence(model: LanguageModel, tokens: Sequence[int], limit: int = LIMIT) -> np.ndarray:
    """Of each layer, the mean of 1 - cos(stream before, stream after), (L,)."""
    turned = np.zeros(model.shape.n_layers)
    count = 0
    for passed in streams(model, tokens, limit):  # (L + 1) of (B, T, C)
        for layer, (before, after) in enumerate(zip(passed, passed[1:], strict=False)):
            inner = np.einsum("btc,btc->bt", before, after, dtype=np.float64)
            length = np.linalg.norm(before, axis=-1) * np.linalg.norm(after, axis=-1)
            turned[layer] += np.sum(1 - inner / np.maximum(length, 1e-30))
        count += passed[0].shape[0] * passed[0].shape[1]
    return turned / count


def channel_scores(down: np.ndarray, inputs: Inputs) -> np.ndarray:
    """(hidden,): the length of each channel's column in W_down times what it carries."""
    return np.linalg.norm(down, axis=0) * inputs.norms


def head_scores(back: np.ndarray, inputs: Inputs, kv_heads: int) -> np.ndarray:
    """(Hkv,): what each key head's queries add to the stream, by the projection back."""
    parts = np.split(back.astype(np.float64), kv_heads, axis=1)
    width = parts[0].shape[1]
    spans = [slice(h * width, (h + 1) * width) for h in range(kv_heads)]
    squares = [np.sum((part @ inputs.second[s, s]) * part)
               for part, s in zip(parts, spans, strict=True)]
    return np.sqrt(np.maximum(squares, 0))


def without_layers(model: LanguageModel, keep: np.ndarray) -> LanguageModel:
    """Only the layers of `keep`, in their order."""
    shape = dataclasses.replace(model.shape, n_layers=len(keep), n_blocks=None)
    arrays = {}
    for name, array in model.state_dict().items():
        block, _, rest = name.removeprefix("blocks.").partition(".")
        if not name.startswith("blocks."):
            arrays[name] = array
        elif int(block) in keep:
            arrays[f"blocks.{int(np.searchsorted(keep, int(block)))}.{rest}"] = array
    return _filled(shape, arrays)


def sharing(model: LanguageModel, blocks: int) -> LanguageModel:
    """As many layers with so many blocks, each the mean of those that share it."""
    shape = dataclasses.replace(model.shape, n_blocks=blocks)
    arrays, layers = dict(model.state_dict()), model.shape.n_layers
    groups = np.arange(layers) * blocks // layers  # layer -> its block, as Stack.layers
    own = {name: array for name, array in arrays.items() if name.startswith("blocks.")}
    for name in own:
        del arrays[name]
    for name in own:
        if name.startswith("blocks.0."):
            rest = name.removeprefix("blocks.0.")
            for block in range(blocks):
                alike = [own[f"blocks.{n}.{rest}"] for n in np.flatnonzero(groups == block)]
                arrays[f"blocks.{block}.{rest}"] = np.mean(alike, axis=0)
    return _filled(shape, arrays)


def with_channels(model: LanguageModel, keep: Sequence[np.ndarray]) -> LanguageModel:
    """Only the channels of `keep`, for each block equally many, in the MLP's middle."""
    shape = dataclasses.replace(model.shape, d_ff=len(keep[0]))
    arrays = dict(model.state_dict())
    for number, kept in enumerate(keep):
        name = f"blocks.{number}.mlp"
        rows = kept
        if model.shape.activation in GATED:  # the gate's rows, then what passes it
            rows = np.concatenate([kept, model.shape.hidden + kept])
        _take(arrays, f"{name}.up.weight", rows, axis=0)
        _take(arrays, f"{name}.up.bias", rows, axis=0)
        _take(arrays, f"{name}.down.weight", kept, axis=1)
    return _filled(shape, arrays)


def with_heads(model: LanguageModel, keep: Sequence[np.ndarray]) -> LanguageModel:
    """Only the key heads of `keep`, for each block equally many, and the queries they serve."""
    heads, kv_heads, size = model.shape.heads
    each, count = heads // kv_heads, len(keep[0])
    shape = dataclasses.replace(
        model.shape, n_heads=each * count, n_kv_heads=count, head_dim=size,
    )
    arrays = dict(model.state_dict())
    for number, kept in enumerate(keep):
        name = f"blocks.{number}.attention"
        queries = _rows(kept, each * size)
        keys = heads * size + _rows(kept, size)
        rows = np.concatenate([queries, keys, keys + kv_heads * size])
        _take(arrays, f"{name}.qkv.weight", rows, axis=0)
        _take(arrays, f"{name}.qkv.bias", rows, axis=0)
        _take(arrays, f"{name}.proj.weight", queries, axis=1)
    return _filled(shape, arrays)


def _rows(kept: np.ndarray, width: int) -> np.ndarray:
    """Numbers of the rows of parts that are `width` rows each."""
    return (kept[:, None] * width + np.arange(width)).reshape(-1)


def _take(arrays: dict[str, np.ndarray], name: str, which: np.ndarray, axis: int) -> None:
    if name in arrays:  # a bias may not be there
        arrays[name] = np.take(arrays[name], which, axis=axis)


def _filled(shape: ModelShape, arrays: dict[str, np.ndarray]) -> LanguageModel:
    made = build(shape, None)
    nn.copy_arrays(made.state_dict(), arrays, "model")
    return made.eval()
