"""ModelShape -> config.json of the Hugging Face class that computes the same.

A class fits when each of our settings is one of its own, or has the value that it cannot help. What
it insists on having and we have not (GPT-2's biases) is written as zeros. Where none fits, the
error says what is in the way of the nearest.

Read first: huggingface.py, which reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinygpt.exchange.errors import ExchangeError
from tinygpt.exchange.huggingface import ARCHITECTURES, THEIRS
from tinygpt.model.shape import ModelShape

UNGATED = ("gelu", "gelu_erf", "relu", "relu2", "silu")
GATED = ("swiglu", "geglu")
# Type -> the settings that a model of it must have. Read in this order: the first that fits.
_DECODER = {
    "assembly": ("decoder",), "norm_place": ("pre",), "softcap": (None,), "embedding_size": (None,),
    "one block a layer": (True,), "smear": (False,), "bigrams": (False,),
}
_LLAMA = {
    **_DECODER, "positions": ("rope",), "norm": ("rmsnorm",), "activation": GATED,
}
_ENCODER = {
    "assembly": ("encoder",), "positions": ("learned",), "norm": ("layernorm",),
    "norm_place": ("post",), "bias": ("all",), "activation": UNGATED, "softcap": (None,),
    "qk_norm": (False,), "as many key heads as query heads": (True,),
    "heads that fill d_model": (True,),
}
FITS: dict[str, dict[str, tuple[Any, ...]]] = {
    "gpt2": {
        **_DECODER, "positions": ("learned",), "norm": ("layernorm",), "activation": UNGATED,
        "qk_norm": (False,), "window": (None,), "as many key heads as query heads": (True,),
        "heads that fill d_model": (True,),
    },
    "llama": {**_LLAMA, "qk_norm": (False,), "bias": ("none", "all"), "window": (None,)},
    "mistral": {**_LLAMA, "qk_norm": (False,), "bias": ("none",)},
    "qwen2": {**_LLAMA, "qk_norm": (False,), "bias": ("qkv",)},
    "qwen3": {**_LLAMA, "qk_norm": (True,), "bias": ("none",)},
    "mpt": {
        **_DECODER, "positions": ("alibi",), "alibi_scale": (1.0,), "norm": ("layernorm",),
        "activation": ("gelu_erf",), "qk_norm": (False,), "bias": ("none",), "window": (None,),
        "as many key heads as query heads": (True,), "heads that fill d_model": (True,),
        "an MLP of four times d_model": (True,),
    },
    "bert": {**_ENCODER, "embedding_size": (None,), "one block a layer": (True,)},
    "albert": _ENCODER,
    "t5": {
        "assembly": ("encoder-decoder",), "positions": ("relative",), "norm": ("rmsnorm",),
        "norm_place": ("pre",), "bias": ("none",), "activation": (*UNGATED, *GATED),
        "softcap": (None,), "qk_norm": (False,), "window": (None,),
        "one block a layer": (True,), "as many key heads as query heads": (True,),
    },
}


def class_of(shape: ModelShape) -> str:
    """The model_type that computes what a shape does.

    Raises ExchangeError if there is none, with what is in the way of the nearest.
    """
    settings = _settings(shape)
    wrong = {
        kind: [name for name, values in rules.items() if settings[name] not in values]
        for kind, rules in FITS.items()
    }
    fitting = [kind for kind, names in wrong.items() if not names]
    if fitting:
        return fitting[0]
    near = min(wrong, key=lambda kind: (len(wrong[kind]), "positions" in wrong[kind]))
    what = " and ".join(
        f"not {name}" if settings[name] is False and " " in name
        else f"model.{name} = {settings[name]}" for name in wrong[near]
    )
    raise ExchangeError(
        f"no class of transformers computes this model: the nearest, {near}, does not have {what}. "
        f"{_advice(near, wrong[near])}"
    )


def _advice(kind: str, names: list[str]) -> str:
    if kind == "mpt" and names == ["activation"]:
        return 'Theirs has GELU with erf: train with model.activation = "gelu_erf", or export GGUF.'
    return f'Train a model of a family that has one, as model.family = "{kind}".'


def _settings(shape: ModelShape) -> dict[str, Any]:
    heads, kv_heads, size = shape.heads
    return {
        **vars(shape), "one block a layer": shape.blocks == shape.n_layers,
        "as many key heads as query heads": heads == kv_heads,
        "heads that fill d_model": heads * size == shape.d_model,
        "an MLP of four times d_model": shape.hidden == 4 * shape.d_model,
    }


def write_config(shape: ModelShape, tokens: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a config.json.  tokens: ids of theirs, as bos_token_id.

    Raises ExchangeError as class_of.
    """
    kind = class_of(shape)
    others = {"gpt2": _gpt2, "mpt": _mpt, "bert": _bert, "albert": _bert, "t5": _t5}
    write = others.get(kind, _llama)
    return {
        "architectures": [ARCHITECTURES[kind]], "model_type": kind, "torch_dtype": "float32",
        "vocab_size": shape.vocab_size, "tie_word_embeddings": shape.tied, **write(shape),
        **tokens,
    }


def _gpt2(shape: ModelShape) -> dict[str, Any]:
    return {
        "n_positions": shape.context, "n_embd": shape.d_model, "n_layer": shape.n_layers,
        "n_head": shape.n_heads, "n_inner": shape.hidden,
        "activation_function": THEIRS[shape.activation], "layer_norm_epsilon": shape.eps,
    }


def _mpt(shape: ModelShape) -> dict[str, Any]:
    return {
        "max_seq_len": shape.context, "d_model": shape.d_model, "n_layers": shape.n_layers,
        "n_heads": shape.n_heads, "layer_norm_epsilon": shape.eps, "no_bias": True,
        "attn_config": {"alibi": True, "alibi_bias_max": 8},
    }


def _llama(shape: ModelShape) -> dict[str, Any]:
    """Llama and its descendants.  The rotation as transformers 4 and as 5 have it."""
    heads, kv_heads, size = shape.heads
    kind = class_of(shape)
    values: dict[str, Any] = {
        "max_position_embeddings": shape.context, "hidden_size": shape.d_model,
        "intermediate_size": shape.hidden, "num_hidden_layers": shape.n_layers,
        "num_attention_heads": heads, "num_key_value_heads": kv_heads, "head_dim": size,
        "hidden_act": THEIRS[shape.activation], "rms_norm_eps": shape.eps,
        "rope_theta": shape.rope_theta,
        "rope_parameters": {"rope_theta": shape.rope_theta, "rope_type": "default"},
    }
    if kind == "llama":
        values |= {"attention_bias": shape.bias == "all", "mlp_bias": shape.bias == "all"}
    elif kind == "mistral":
        values |= {"sliding_window": shape.window}
    else:
        values |= {
            "use_sliding_window": shape.window is not None, "sliding_window": shape.window,
            "max_window_layers": 0,
        }
    return values


def _bert(shape: ModelShape) -> dict[str, Any]:
    values: dict[str, Any] = {
        "max_position_embeddings": shape.context, "hidden_size": shape.d_model,
        "intermediate_size": shape.hidden, "num_hidden_layers": shape.n_layers,
        "num_attention_heads": shape.n_heads, "hidden_act": THEIRS[shape.activation],
        "layer_norm_eps": shape.eps, "type_vocab_size": 2,
    }
    if class_of(shape) == "albert":
        values |= {"num_hidden_groups": shape.blocks, "embedding_size": shape.embedding}
    return values


def _t5(shape: ModelShape) -> dict[str, Any]:
    gates = {"geglu": "gated-gelu", "swiglu": "gated-silu"}
    return {
        "n_positions": shape.context, "d_model": shape.d_model, "d_kv": shape.heads[2],
        "d_ff": shape.hidden, "num_layers": shape.n_layers, "num_decoder_layers": shape.n_layers,
        "num_heads": shape.n_heads, "layer_norm_epsilon": shape.eps,
        "feed_forward_proj": gates.get(shape.activation, THEIRS[shape.activation]),
        "is_encoder_decoder": True,
    }
