"""How transformers writes the models that ours can be: names of modules, and settings.

Weights: each of our modules packs one or more of theirs, whose rows are stacked in the order of
the table: queries, keys, values; the gate, then what passes it.  A product's weight is (out, in)
in both, but for GPT-2's `Conv1D`, which is (in, out).  Rotations are half-split in both, so that
rows keep their places.

Nothing here imports transformers: a configuration is any object with its attributes, weights are
arrays by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

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


def sources(family: str, name: str) -> list[str]:
    """Their parameters that one of ours packs, in order.

    "blocks.0.mlp.up.weight" of llama -> ["model.layers.0.mlp.gate_proj.weight", ...up_proj.weight].
    """
    if name in MODULES[family]:  # a parameter of the model itself
        return list(MODULES[family][name])
    module, kind = name.rsplit(".", 1)
    number = "".join(re.findall(r"\.(\d+)\.", module))
    row = MODULES[family][module.replace(f".{number}.", ".{}.")]
    return [f"{theirs.format(number)}.{kind}" for theirs in row]


def convert(
    family: str, names: Iterable[str], theirs: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Their arrays as our parameters of these names: weights, or gradients of them.

    Raises KeyError if one is missing.
    """
    found = {}
    for name in names:
        parts = []
        for source in sources(family, name):
            stored_across = source.split(".")[-2] in CONV1D and source.endswith(".weight")
            parts.append(theirs[source].T if stored_across else theirs[source])
        found[name] = np.concatenate(parts)
    return found


def factors(config: Any, names: Iterable[str]) -> dict[str, np.ndarray]:
    """By what each of ours that computes in another unit than theirs is to be multiplied.

    T5 leaves scores as they are where we divide them by sqrt(D): our queries are that much larger.
    With a tied head it divides what it scores by sqrt(C): our last norm is that much smaller.
    A gradient is to be divided.
    """
    found: dict[str, np.ndarray] = {}
    if config.model_type != "t5":
        return found
    size, heads = config.d_kv, config.num_heads * config.d_kv
    for name in names:
        if name.endswith(("attention.qkv.weight", "cross.q.weight")):
            rows = np.ones((3 if "qkv" in name else 1) * heads, np.float32)
            rows[:heads] = size**0.5
            found[name] = rows[:, None]
        elif name == "decoder.norm.weight" and config.scale_decoder_outputs:
            found[name] = np.float32(config.d_model**-0.5)
    return found


def family_of(config: Any) -> str:
    """The row of MODULES that a configuration's weights are named by."""
    ungated = config.model_type == "t5" and not config.is_gated_act
    return "t5 without a gate" if ungated else config.model_type


def settings(config: Any) -> dict[str, Any]:
    """The [model] section that says what a configuration of transformers says."""
    read = {"gpt2": _gpt2, "mpt": _mpt, "bert": _bert, "albert": _bert, "t5": _t5}.get(
        config.model_type, _llama
    )
    return {
        "family": config.model_type, "vocab_size": config.vocab_size,
        "tied": config.tie_word_embeddings, **read(config),
    }


def _gpt2(config: Any) -> dict[str, Any]:
    return {
        "context": config.n_positions, "n_layers": config.n_layer, "n_heads": config.n_head,
        "d_model": config.n_embd, "d_ff": config.n_inner, "eps": config.layer_norm_epsilon,
    }


def _mpt(config: Any) -> dict[str, Any]:
    return {
        "context": config.max_seq_len, "n_layers": config.n_layers, "n_heads": config.n_heads,
        "d_model": config.d_model, "eps": config.layer_norm_epsilon,
    }


ACTIVATIONS = {"gelu_new": "gelu", "gelu_pytorch_tanh": "gelu", "gelu": "gelu_erf"}


def _bert(config: Any) -> dict[str, Any]:
    """Bert, and Albert with its groups and its narrow tables."""
    return {
        "context": config.max_position_embeddings, "n_layers": config.num_hidden_layers,
        "n_heads": config.num_attention_heads, "d_model": config.hidden_size,
        "d_ff": config.intermediate_size, "eps": config.layer_norm_eps,
        "activation": ACTIVATIONS.get(config.hidden_act, config.hidden_act),
        "n_blocks": getattr(config, "num_hidden_groups", None),
        "embedding_size": getattr(config, "embedding_size", None),
    }


def one_segment(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Their weights with the vector of the first of two segments made part of the positions'."""
    rest = dict(arrays)
    for name in arrays:
        if name.endswith("token_type_embeddings.weight"):
            positions = name.replace("token_type", "position")
            rest[positions] = rest[positions] + rest.pop(name)[0]
    return rest


def _t5(config: Any) -> dict[str, Any]:
    """Its context is whatever memory holds; a tied head is known by the scaling before it."""
    return {
        "n_layers": config.num_layers, "n_heads": config.num_heads, "head_dim": config.d_kv,
        "d_model": config.d_model, "d_ff": config.d_ff, "eps": config.layer_norm_epsilon,
        "activation": "geglu" if config.is_gated_act else config.dense_act_fn,
        "tied": config.scale_decoder_outputs,
    }


def _llama(config: Any) -> dict[str, Any]:
    """Llama and its descendants.  The window: Qwen has one only where it is switched on."""
    windowed = getattr(config, "use_sliding_window", True)
    found = {
        "context": config.max_position_embeddings, "n_layers": config.num_hidden_layers,
        "n_heads": config.num_attention_heads, "n_kv_heads": config.num_key_value_heads,
        "head_dim": getattr(config, "head_dim", None), "d_model": config.hidden_size,
        "d_ff": config.intermediate_size, "eps": config.rms_norm_eps,
        "rope_theta": config.rope_parameters["rope_theta"],
        "window": getattr(config, "sliding_window", None) if windowed else None,
    }
    if getattr(config, "attention_bias", False):  # Llama's has one on the projection back, too
        found["bias"] = "all"
    return found
