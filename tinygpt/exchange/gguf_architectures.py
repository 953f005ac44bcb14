"""What GGUF's architectures are in our terms: their keys <-> ModelShape, their tensors <-> ours.

    llama    RMSNorm, RoPE, SwiGLU; queries and keys turn in pairs of neighbours
    qwen2    the same with biases on queries, keys and values; pairs are half a head apart
    qwen3    with normed queries and keys; likewise
    arcee    RMSNorm, RoPE, the square of ReLU and no gate; pairs of neighbours
    gpt2     LayerNorm, learned positions, GELU, biases everywhere
    mpt      LayerNorm, GELU, biases or none; learned positions, ALiBi, or neither

A pair of coordinates that a rotation turns lies half a head apart in our weights (and in Hugging
Face's), and beside one another in some of these: `neighbours` gives the order of the rows.

A key or a tensor that is not known here may change the arithmetic (a scaled rotation, a cap on
logits, experts), so every one is read, is known to change nothing, or is an error that names it.

Source: llama.cpp's src/llama-model.cpp and src/models say which keys and tensors it asks for.
Read next: gguf_tokenizer.py, gguf_models.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from minigrad.ops.linear import GATED
from tinygpt.config import ConfigError
from tinygpt.exchange.errors import ExchangeError
from tinygpt.exchange.gguf import Entry
from tinygpt.exchange.gguf_write import Unsigned
from tinygpt.model.families import FAMILIES
from tinygpt.model.shape import ModelShape

LARGEST = 1e38
LONGEST_CONTEXT = 1 << 20  # tokens; the longest public one has so many
LAYER_NORM, RMS_NORM = "attention.layer_norm_epsilon", "attention.layer_norm_rms_epsilon"
# What they say of themselves and we read elsewhere; and what changes nothing at this value.
HARMLESS = ("vocab_size", "tensor_data_layout", "rope.scaling.original_context_length")
NEUTRAL: dict[str, Any] = {
    "attention.causal": True, "attention.clamp_kqv": 0, "expert_count": 0, "expert_used_count": 0,
    "pooling_type": 0, "rope.scaling.type": "none", "rope.scaling.factor": 1,
    "rope.scaling.finetuned": False,
}
_ASK = "Nothing here computes that; use a model without it."


@dataclass(frozen=True)
class Architecture:
    """A row of the table above.

    family: the row of families.py that is nearest.  settings: what differs from it.
    eps: the key of the norms'.  neighbours: whether a rotation turns neighbours.
    packed: queries, keys and values are one tensor.
    """

    name: str
    family: str
    eps: str = RMS_NORM
    neighbours: bool = False
    packed: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


ARCHITECTURES = {
    row.name: row for row in (
        Architecture("llama", "llama", neighbours=True),
        Architecture("qwen2", "qwen2"),
        Architecture("qwen3", "qwen3"),
        Architecture("arcee", "llama", neighbours=True, settings={"activation": "relu2"}),
        Architecture("gpt2", "gpt2", LAYER_NORM, packed=True),
        Architecture("mpt", "mpt", LAYER_NORM, packed=True),
    )
}


class Part(NamedTuple):
    """A tensor of theirs.  heads: above 0, its rows are so many heads of neighbours."""

    name: str
    shape: tuple[int, ...]
    heads: int = 0


Layout = list[tuple[str, tuple[Part, ...]]]  # ours, and theirs whose rows make it, one by one


def neighbours(rows: int, heads: int) -> np.ndarray:
    """Which of our rows each of theirs is: (rows,), pairs that were half a head apart together.

    >>> neighbours(8, 2).tolist()
    [0, 2, 1, 3, 4, 6, 5, 7]
    """
    return np.arange(rows).reshape(heads, 2, -1).swapaxes(1, 2).reshape(-1)


def half_apart(rows: int, heads: int) -> np.ndarray:
    """The inverse: which of their rows each of ours is."""
    return np.arange(rows).reshape(heads, -1, 2).swapaxes(1, 2).reshape(-1)


def layout(shape: ModelShape, architecture: Architecture) -> Layout:
    """Every tensor of a model: our name, and theirs of what sizes.

    A block that serves several layers comes once for each.
    """
    v, c = shape.vocab_size, shape.d_model
    found: Layout = [("token_embedding.weight", (Part("token_embd.weight", (v, c)),))]
    if shape.positions == "learned":
        found += _module("position_embedding", ("position_embd",), ((shape.context, c),))
    for layer in range(shape.n_layers):
        block = layer * shape.blocks // shape.n_layers
        found += _layer(shape, architecture, f"blocks.{block}", f"blk.{layer}")
    found += _norm(shape, "norm", "output_norm")
    if not shape.tied:
        found += _module("output", ("output",), ((v, c),))
    return found


def _layer(shape: ModelShape, architecture: Architecture, ours: str, theirs: str) -> Layout:
    c, (heads, kv_heads, size), hidden = shape.d_model, shape.heads, shape.hidden
    everywhere = shape.bias == "all"
    rows = {"attn_q": heads * size, "attn_k": kv_heads * size, "attn_v": kv_heads * size}
    if architecture.packed:
        rows = {"attn_qkv": sum(rows.values())}
    up = ("ffn_gate", "ffn_up") if shape.activation in GATED else ("ffn_up",)
    turned = {"attn_q": heads, "attn_k": kv_heads} if architecture.neighbours else {}
    found = _norm(shape, f"{ours}.norm1", f"{theirs}.attn_norm")
    found += _module(
        f"{ours}.attention.qkv", [f"{theirs}.{name}" for name in rows],
        [(n, c) for n in rows.values()], shape.bias != "none",
        [turned.get(name, 0) for name in rows],
    )
    if shape.qk_norm:
        for name in ("q_norm", "k_norm"):
            found += _module(f"{ours}.attention.{name}", (f"{theirs}.attn_{name}",), ((size,),))
    found += _module(
        f"{ours}.attention.proj", (f"{theirs}.attn_output",), ((c, heads * size),), everywhere
    )
    found += _norm(shape, f"{ours}.norm2", f"{theirs}.ffn_norm")
    found += _module(
        f"{ours}.mlp.up", [f"{theirs}.{name}" for name in up], [(hidden, c)] * len(up), everywhere
    )
    return found + _module(f"{ours}.mlp.down", (f"{theirs}.ffn_down",), ((c, hidden),), everywhere)


def _norm(shape: ModelShape, ours: str, theirs: str) -> Layout:
    biased = shape.norm == "layernorm" and shape.bias == "all"
    return _module(ours, (theirs,), ((shape.d_model,),), biased)


def _module(
    ours: str, names: Any, sizes: Any, biased: bool = False, heads: Any = (0,)
) -> Layout:
    """Its weight, and its bias where it has one; heads: of each name, the last serves the rest."""
    heads = [*heads, *[heads[-1]] * len(names)]
    parts = [Part(f"{n}.weight", s, h) for n, s, h in zip(names, sizes, heads, strict=False)]
    found: Layout = [(f"{ours}.weight", tuple(parts))]
    if biased:
        biases = [Part(f"{n}.bias", s[:1], h) for n, s, h in zip(names, sizes, heads, strict=False)]
        found.append((f"{ours}.bias", tuple(biases)))
    return found


# --- reading ------------------------------------------------------------------------------------


class _Keys:
    """The keys of an architecture, each to be asked for once."""

    def __init__(self, keys: Mapping[str, Any], prefix: str):
        self.prefix = f"{prefix}."
        self.left = {
            name.removeprefix(self.prefix): value
            for name, value in keys.items() if name.startswith(self.prefix)
        }

    def count(self, name: str, default: int | None = None) -> int:
        """A whole number from 1.  Raises ExchangeError for another, or none without a default."""
        value = self.left.pop(name, default)
        if type(value) is not int or value < 1:
            raise self.wrong(name, value, "a whole number from 1 is needed")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """A number, as short as float32 tells it from others: 1e-05, not 9.99999974e-06."""
        value = self.left.pop(name, default)
        if type(value) not in (int, float) or not abs(value) < LARGEST:
            raise self.wrong(name, value, "a finite number is needed")
        return float(str(np.float32(value)))

    def wrong(self, name: str, value: Any, needed: str) -> ExchangeError:
        said = "no " + self.prefix + name if value is None else f"{self.prefix}{name} = {_s(value)}"
        return ExchangeError(f"it has {said}, and {needed}. Convert the model again.")

    def finish(self) -> None:
        """Raise ExchangeError if a key that was not asked for may change what is computed."""
        for name, value in self.left.items():
            if name in HARMLESS or (name in NEUTRAL and _is(value, NEUTRAL[name])):
                continue
            raise ExchangeError(
                f"it has {self.prefix}{name} = {_s(value)}, which may change what the model "
                f"computes and is not known here. {_ASK}"
            )


def _is(value: Any, wanted: Any) -> bool:
    return isinstance(value, int | float | str) and value == wanted


def _s(value: Any) -> str:
    if isinstance(value, list | np.ndarray):
        return f"a list of {len(value)}"
    return f"{value:.9g}" if isinstance(value, float) else f"{value!r:.60}"


def read_shape(
    keys: Mapping[str, Any], tensors: Mapping[str, Entry]
) -> tuple[Architecture, ModelShape]:
    """The architecture and shape of a file.

    Raises ExchangeError for an architecture that is not known, a key that is missing or not known,
    and keys that contradict one another or the tensors.
    """
    name = keys.get("general.architecture")
    architecture = ARCHITECTURES.get(name) if isinstance(name, str) else None
    if architecture is None:
        raise ExchangeError(
            f"it is of architecture {_s(name)}. Known here: {', '.join(ARCHITECTURES)}."
        )
    own = _Keys(keys, architecture.name)
    found = _settings(architecture, own, tensors)
    own.finish()
    try:
        shape = ModelShape(**{**FAMILIES[architecture.family], **architecture.settings, **found})
    except ConfigError as error:
        raise ExchangeError(f"its keys contradict one another: {error}") from error
    said = keys.get(f"{architecture.name}.vocab_size", shape.vocab_size)
    if not _is(said, shape.vocab_size):
        raise ExchangeError(
            f"it has {architecture.name}.vocab_size = {_s(said)}, and token_embd.weight of "
            f"{shape.vocab_size} rows. Convert the model again."
        )
    check_tensors(layout(shape, architecture), tensors)
    return architecture, shape


def _settings(
    architecture: Architecture, own: _Keys, tensors: Mapping[str, Entry]
) -> dict[str, Any]:
    """Fields of ModelShape; what a file does not say in keys is seen in its tensors."""
    table = tensors.get("token_embd.weight")
    if table is None or len(table.shape) != 2:
        raise ExchangeError(
            "it has no token_embd.weight of two dimensions. Give a file that holds a whole model."
        )
    layers, context = own.count("block_count"), own.count("context_length")
    if layers > len(tensors) or context > LONGEST_CONTEXT:
        raise ExchangeError(
            f"it has {layers:,} layers in {len(tensors):,} tensors and a context of {context:,} "
            f"tokens, of which at most {LONGEST_CONTEXT:,} are read. Convert the model again."
        )
    heads, width = own.count("attention.head_count"), own.count("embedding_length")
    size = own.count("attention.key_length", max(1, width // heads))
    if own.count("attention.value_length", size) != size:
        raise ExchangeError(f"its keys and values are of different lengths. {_ASK}")
    found = {
        "family": architecture.family, "vocab_size": table.shape[0], "context": context,
        "n_layers": layers, "d_model": width, "n_heads": heads,
        "n_kv_heads": own.count("attention.head_count_kv", heads),
        "head_dim": size if size * heads != width else None,
        "d_ff": own.count("feed_forward_length"), "eps": own.number(architecture.eps),
        "tied": "output.weight" not in tensors,
    }
    if FAMILIES[architecture.family].get("positions") == "rope":
        found["rope_theta"] = own.number("rope.freq_base", 10000.0)
        turned = own.count("rope.dimension_count", size)
        if turned != size:
            raise ExchangeError(f"it turns {turned} of {size} coordinates of a head. {_ASK}")
    if architecture.name == "llama" and "blk.0.attn_q.bias" in tensors:
        found["bias"] = "qkv"
    return found | (_mpt(own, tensors) if architecture.name == "mpt" else {})


def _mpt(own: _Keys, tensors: Mapping[str, Entry]) -> dict[str, Any]:
    slope = own.number("attention.max_alibi_bias", 0.0)
    learned = "position_embd.weight" in tensors
    if slope not in (0, 8) or (slope and learned):
        raise ExchangeError(
            f"it has mpt.attention.max_alibi_bias = {slope:g} "
            f"{'and' if learned else 'and no'} learned positions. {_ASK}"
        )
    biased = "blk.0.attn_norm.bias" in tensors
    return {
        "positions": "learned" if learned else "alibi" if slope else "none",
        "bias": "all" if biased else "none", "family": "mpt" if slope else "gpt",
    }


def check_tensors(wanted: Layout, tensors: Mapping[str, Entry]) -> None:
    """Raise ExchangeError for a tensor that is missing, of another shape, or not known."""
    left = dict(tensors)
    for _, parts in wanted:
        for part in parts:
            there = left.pop(part.name, None)
            if there is None:
                raise ExchangeError(
                    f"its tensor {part.name} is missing. Download or convert the file again."
                )
            if there.shape != part.shape:
                raise ExchangeError(
                    f"its tensor {part.name} is {there.shape}, and its keys make it {part.shape}. "
                    "Convert the model again."
                )
    for name, entry in left.items():
        raise ExchangeError(
            f"it has a tensor {name!r:.60} {entry.shape}, which may change what the model computes "
            f"and is not known here. {_ASK}"
        )


# --- writing ------------------------------------------------------------------------------------


def architecture_of(shape: ModelShape) -> Architecture:
    """The architecture that computes what a shape does.

    Raises ExchangeError with what fits none, and what would.
    """
    refused = (
        (shape.assembly != "decoder", "assembly", "a decoder"),
        (shape.norm_place != "pre", "norm_place", "pre"),
        (shape.softcap is not None, "softcap", "none"),
        (shape.smear, "smear", "false"),
        (shape.bigrams, "bigrams", "false"),
        (shape.positions == "alibi" and shape.alibi_scale != 1, "alibi_scale", "1"),
        (shape.sight < shape.context, "window", "none"),
    )
    for wrong, name, right in refused:
        if wrong:
            raise ExchangeError(
                f"model.{name} = {getattr(shape, name)} fits no architecture of GGUF that is "
                f"written here, which have {right}. Export it --to hf, or train one of those."
            )
    kind = (shape.norm, shape.positions, shape.activation, shape.bias, shape.qk_norm)
    rope = ("rmsnorm", "rope")
    table = {
        (*rope, "swiglu", "none", False): "llama", (*rope, "swiglu", "qkv", False): "qwen2",
        (*rope, "swiglu", "none", True): "qwen3", (*rope, "relu2", "none", False): "arcee",
        ("layernorm", "learned", "gelu", "all", False): "gpt2",
        **{
            ("layernorm", positions, "gelu", bias, False): "mpt"
            for positions, bias in (
                ("learned", "none"), ("alibi", "none"), ("alibi", "all"), ("none", "none"),
                ("none", "all"),
            )
        },
    }
    if kind not in table or (shape.head_dim and table[kind] in ("gpt2", "mpt")):
        qk = " with qk_norm" if shape.qk_norm else ""
        raise ExchangeError(
            f"no architecture of GGUF that is written here has norm = {shape.norm}, positions = "
            f"{shape.positions}, activation = {shape.activation}, bias = {shape.bias} and heads of "
            f"{shape.heads[2]}{qk} at once. What fits: layernorm with gelu and learned positions "
            "or alibi; rmsnorm with rope and swiglu or relu2."
        )
    return ARCHITECTURES[table[kind]]


def write_keys(shape: ModelShape, architecture: Architecture) -> dict[str, Any]:
    """The keys that say a shape."""
    heads, kv_heads, size = shape.heads
    counts = {
        "context_length": shape.context, "embedding_length": shape.d_model,
        "block_count": shape.n_layers, "feed_forward_length": shape.hidden,
        "attention.head_count": heads, "attention.head_count_kv": kv_heads,
        "vocab_size": shape.vocab_size,
    }
    if shape.positions == "rope":
        counts["rope.dimension_count"] = size
    if size * heads != shape.d_model:
        counts |= {"attention.key_length": size, "attention.value_length": size}
    found: dict[str, Any] = {name: Unsigned(value) for name, value in counts.items()}
    found[architecture.eps] = float(shape.eps)
    if shape.positions == "rope":
        found["rope.freq_base"] = float(shape.rope_theta)
    if architecture.name == "mpt":  # builds before 2026 require the key
        found["attention.max_alibi_bias"] = 8.0 if shape.positions == "alibi" else 0.0
    return {
        "general.architecture": architecture.name,
        **{f"{architecture.name}.{name}": value for name, value in found.items()},
    }
