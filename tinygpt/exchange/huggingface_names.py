"""What Hugging Face's models call their weights, and how ours are laid out in them.

Each of our modules packs one or more of theirs, whose rows are stacked in the order of the table:
queries, keys, values; the gate, then what passes it.  A product's weight is (out, in) in both, but
for GPT-2's `Conv1D`, which is (in, out).  Rotations are half-split in both, so that rows keep their
places.

Read next: huggingface_weights.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tinygpt.model.shape import ModelShape

Modules = Mapping[str, tuple[str, ...]]  # ours -> theirs, {} being the number of the layer

LLAMA: Modules = {
    "token_embedding": ("model.embed_tokens",),
    "blocks.{}.norm1": ("model.layers.{}.input_layernorm",),
    "blocks.{}.attention.qkv": (
        "model.layers.{}.self_attn.q_proj",
        "model.layers.{}.self_attn.k_proj",
        "model.layers.{}.self_attn.v_proj",
    ),
    "blocks.{}.attention.q_norm": ("model.layers.{}.self_attn.q_norm",),
    "blocks.{}.attention.k_norm": ("model.layers.{}.self_attn.k_norm",),
    "blocks.{}.attention.proj": ("model.layers.{}.self_attn.o_proj",),
    "blocks.{}.norm2": ("model.layers.{}.post_attention_layernorm",),
    "blocks.{}.mlp.up": ("model.layers.{}.mlp.gate_proj", "model.layers.{}.mlp.up_proj"),
    "blocks.{}.mlp.down": ("model.layers.{}.mlp.down_proj",),
    "norm": ("model.norm",),
    "output": ("lm_head",),
}
GPT2: Modules = {
    "token_embedding": ("transformer.wte",),
    "position_embedding": ("transformer.wpe",),
    "blocks.{}.norm1": ("transformer.h.{}.ln_1",),
    "blocks.{}.attention.qkv": ("transformer.h.{}.attn.c_attn",),
    "blocks.{}.attention.proj": ("transformer.h.{}.attn.c_proj",),
    "blocks.{}.norm2": ("transformer.h.{}.ln_2",),
    "blocks.{}.mlp.up": ("transformer.h.{}.mlp.c_fc",),
    "blocks.{}.mlp.down": ("transformer.h.{}.mlp.c_proj",),
    "norm": ("transformer.ln_f",),
    "output": ("lm_head",),
}
MPT: Modules = {
    "token_embedding": ("transformer.wte",),
    "blocks.{}.norm1": ("transformer.blocks.{}.norm_1",),
    "blocks.{}.attention.qkv": ("transformer.blocks.{}.attn.Wqkv",),
    "blocks.{}.attention.proj": ("transformer.blocks.{}.attn.out_proj",),
    "blocks.{}.norm2": ("transformer.blocks.{}.norm_2",),
    "blocks.{}.mlp.up": ("transformer.blocks.{}.ffn.up_proj",),
    "blocks.{}.mlp.down": ("transformer.blocks.{}.ffn.down_proj",),
    "norm": ("transformer.norm_f",),
    "output": ("lm_head",),
}
BERT: Modules = {
    "token_embedding": ("bert.embeddings.word_embeddings",),
    "position_embedding": ("bert.embeddings.position_embeddings",),
    "norm": ("bert.embeddings.LayerNorm",),
    "blocks.{}.attention.qkv": (
        "bert.encoder.layer.{}.attention.self.query",
        "bert.encoder.layer.{}.attention.self.key",
        "bert.encoder.layer.{}.attention.self.value",
    ),
    "blocks.{}.attention.proj": ("bert.encoder.layer.{}.attention.output.dense",),
    "blocks.{}.norm1": ("bert.encoder.layer.{}.attention.output.LayerNorm",),
    "blocks.{}.mlp.up": ("bert.encoder.layer.{}.intermediate.dense",),
    "blocks.{}.mlp.down": ("bert.encoder.layer.{}.output.dense",),
    "blocks.{}.norm2": ("bert.encoder.layer.{}.output.LayerNorm",),
    "transform": ("cls.predictions.transform.dense",),
    "transform_norm": ("cls.predictions.transform.LayerNorm",),
    "output": ("cls.predictions.decoder",),
    "output_bias": ("cls.predictions.bias",),
}
GROUP = "albert.encoder.albert_layer_groups.{}.albert_layers.0"
ALBERT: Modules = {
    "token_embedding": ("albert.embeddings.word_embeddings",),
    "position_embedding": ("albert.embeddings.position_embeddings",),
    "norm": ("albert.embeddings.LayerNorm",),
    "lift": ("albert.encoder.embedding_hidden_mapping_in",),
    "blocks.{}.attention.qkv": (
        f"{GROUP}.attention.query", f"{GROUP}.attention.key", f"{GROUP}.attention.value",
    ),
    "blocks.{}.attention.proj": (f"{GROUP}.attention.dense",),
    "blocks.{}.norm1": (f"{GROUP}.attention.LayerNorm",),
    "blocks.{}.mlp.up": (f"{GROUP}.ffn",),
    "blocks.{}.mlp.down": (f"{GROUP}.ffn_output",),
    "blocks.{}.norm2": (f"{GROUP}.full_layer_layer_norm",),
    "transform": ("predictions.dense",),
    "transform_norm": ("predictions.LayerNorm",),
    "output": ("predictions.decoder",),
    "output_bias": ("predictions.bias",),
}


def _t5_half(half: str, mlp: int, ups: tuple[str, ...]) -> Modules:
    """The encoder's or decoder's stack; mlp: which of its halves that is."""
    layer = f"{half}.block.{{}}.layer"
    kinds = (("attention", 0, "SelfAttention"), ("cross", 1, "EncDecAttention"))[:mlp]
    read = {
        f"{ours}.{name}": tuple(f"{layer}.{at}.{theirs}.{part}" for part in parts)
        for ours, at, theirs in kinds
        for name, parts in (("qkv", "qkv"), ("q", "q"), ("kv", "kv"), ("proj", "o"))
    }
    inside = {
        **read, "norm1": (f"{layer}.0.layer_norm",), "cross_norm": (f"{layer}.1.layer_norm",),
        "norm2": (f"{layer}.{mlp}.layer_norm",), "mlp.down": (f"{layer}.{mlp}.DenseReluDense.wo",),
        "mlp.up": tuple(f"{layer}.{mlp}.DenseReluDense.{name}" for name in ups),
    }
    first = f"{half}.block.0.layer.0.SelfAttention.relative_attention_bias"
    return {
        **{f"{half}.blocks.{{}}.{name}": theirs for name, theirs in inside.items()},
        f"{half}.positions.table": (first,), f"{half}.norm": (f"{half}.final_layer_norm",),
    }


def _t5_modules(*ups: str) -> Modules:
    return {
        "token_embedding": ("shared",), **_t5_half("encoder", 1, ups),
        **_t5_half("decoder", 2, ups), "output": ("lm_head",),
    }


MODULES: dict[str, Modules] = {
    "gpt2": GPT2, "llama": LLAMA, "qwen2": LLAMA, "qwen3": LLAMA, "mistral": LLAMA, "mpt": MPT,
    "bert": BERT, "albert": ALBERT,
    "t5": _t5_modules("wi_0", "wi_1"), "t5 without a gate": _t5_modules("wi"),
}
CONV1D = ("c_attn", "c_proj", "c_fc")  # stored (in, out)
SEGMENTS = {  # the vectors of BERT's two kinds of text, and the positions that ours is part of
    "bert": "bert.embeddings.token_type_embeddings.weight",
    "albert": "albert.embeddings.token_type_embeddings.weight",
}


def row_of(model_type: str, shape: ModelShape) -> str:
    """The row of MODULES that names the weights of a shape."""
    ungated = model_type == "t5" and shape.activation not in ("swiglu", "geglu")
    return "t5 without a gate" if ungated else model_type


def sources(row: str, name: str) -> list[str]:
    """Their parameters that one of ours packs, in order.

    "blocks.0.mlp.up.weight" of llama -> ["model.layers.0.mlp.gate_proj.weight", ...up_proj.weight].
    """
    if name in MODULES[row]:  # a parameter of the model itself
        return list(MODULES[row][name])
    module, kind = name.rsplit(".", 1)
    number = "".join(re.findall(r"\.(\d+)\.", module))
    theirs = MODULES[row][module.replace(f".{number}.", ".{}.")]
    return [f"{one.format(number)}.{kind}" for one in theirs]


def stored_across(source: str) -> bool:
    """Whether they keep a matrix (in, out)."""
    return source.endswith(".weight") and source.split(".")[-2] in CONV1D


def convert(
    row: str, names: Iterable[str], theirs: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Their arrays as our parameters of these names: weights, or gradients of them.

    Raises KeyError if one is missing.
    """
    return {
        name: np.concatenate([
            theirs[source].T if stored_across(source) else theirs[source]
            for source in sources(row, name)
        ])
        for name in names
    }


def parts(shape: ModelShape, name: str, count: int) -> Sequence[int] | None:
    """Rows of each of the `count` that one of our packed arrays is made of, None for equal ones."""
    heads, kv_heads, size = shape.heads
    if count == 3:  # queries, keys, values
        return heads * size, kv_heads * size, kv_heads * size
    return None


def factor(model_type: str, shape: ModelShape, name: str) -> np.ndarray | None:
    """By what theirs is multiplied to be ours, where we compute in another unit; None for 1.

    T5 leaves scores as they are where we divide them by sqrt(D): our queries are that much larger.
    With a tied head it divides what it scores by sqrt(C): our last norm is that much smaller.
    A gradient is divided.
    """
    if model_type != "t5":
        return None
    heads, _, size = shape.heads
    if name.endswith(("attention.qkv.weight", "cross.q.weight")):
        rows = np.ones((3 if "qkv" in name else 1) * heads * size, np.float32)
        rows[: heads * size] = size**0.5
        return rows[:, None]
    if name == "decoder.norm.weight" and shape.tied:
        return np.full(1, shape.d_model**-0.5, np.float32)
    return None
