"""config.json of Hugging Face's models -> ModelShape.

    kind, shape = read_config(values)      gpt2, llama, mistral, qwen2, qwen3, mpt, bert, albert, t5

A key that is not known here may change the arithmetic (a scaled rotation, capped logits, experts),
and a model read without it would answer, and answer wrongly. So every key is read, is known to
change nothing, or is an error that names it.

Read next: huggingface_write.py (the way back), huggingface_names.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tinygpt.config import ConfigError, structure
from tinygpt.exchange.errors import ExchangeError
from tinygpt.model.shape import ModelShape

# Keys that say how a model was trained, is called, generates or is kept: not what it computes.
HARMLESS = frozenset("""
    _name_or_path architectures attn_implementation _attn_implementation begin_suppress_tokens
    attention_dropout attention_probs_dropout_prob attn_pdrop bad_words_ids bos_token_id
    chunk_size_feed_forward classifier_dropout classifier_dropout_prob cls_token_id
    decoder_start_token_id directionality diversity_penalty do_sample down_scale_factor
    dropout_rate dtype early_stopping embd_pdrop emb_pdrop encoder_no_repeat_ngram_size
    eos_token_id exponential_decay_length_penalty finetuning_task forced_bos_token_id
    forced_eos_token_id gap_size gradient_checkpointing hidden_dropout_prob id2label init_device
    initializer_factor initializer_range is_encoder_decoder is_llama_config label2id
    length_penalty mask_token_id max_length min_length model_type n_ctx net_structure_type
    no_repeat_ngram_size num_beam_groups num_beams num_memory_blocks num_return_sequences
    output_attentions output_hidden_states output_past output_scores pad_token_id pooler_fc_size
    pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type
    prefix pretraining_tp problem_type remove_invalid_values
    reorder_and_upcast_attn repetition_penalty resid_pdrop return_dict return_dict_in_generate
    sep_token_id summary_activation summary_first_dropout summary_proj_to_labels summary_type
    summary_use_proj suppress_tokens task_specific_params temperature tf_legacy_loss
    tokenizer_class top_k top_p torch_dtype torchscript transformers.js_config
    transformers_version type_vocab_size typical_p unk_token_id unsloth_version use_bfloat16
    use_cache
""".split())
# Keys that change it, unless they have the one value under which it is what ours compute.
NEUTRAL: dict[str, Any] = {
    "attn_type": "multihead_attention", "alibi": True, "alibi_bias_max": 8, "attn_impl": "torch",
    "embedding_fraction": 1.0, "expansion_ratio": 4, "inner_group_num": 1, "learned_pos_emb": True,
    "no_bias": True, "norm_type": "low_precision_layernorm", "partial_rotary_factor": 1.0,
    "position_embedding_type": "absolute", "relative_attention_max_distance": 128,
    "relative_attention_num_buckets": 32, "rope_type": "default", "scale_attn_weights": True,
    "type": "default",
}
TIED = frozenset(("gpt2", "mpt", "bert", "albert", "t5"))  # unless the file says otherwise
UNGATED = {
    "gelu_new": "gelu", "gelu_pytorch_tanh": "gelu", "gelu_fast": "gelu", "gelu": "gelu_erf",
    "relu": "relu", "relu2": "relu2", "silu": "silu", "swish": "silu",
}
GATED = {"silu": "swiglu", "swish": "swiglu", "gelu_pytorch_tanh": "geglu", "gelu_new": "geglu"}
THEIRS = {  # activation -> theirs, as written
    "gelu": "gelu_new", "gelu_erf": "gelu", "relu": "relu", "relu2": "relu2", "silu": "silu",
    "swiglu": "silu", "geglu": "gelu_pytorch_tanh",
}
ARCHITECTURES = {
    "gpt2": "GPT2LMHeadModel", "llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM", "mpt": "MptForCausalLM",
    "bert": "BertForMaskedLM", "albert": "AlbertForMaskedLM", "t5": "T5ForConditionalGeneration",
}
_ASK = "Nothing here computes that; use a model without it."


class Keys:
    """The keys of a config.json, each to be asked for once.

    where: what stands before their names in an error.
    """

    def __init__(self, values: Mapping[str, Any], where: str = ""):
        self._left, self._where = dict(values), where

    def take(self, name: str, default: Any = None) -> Any:
        """The value of a key; `default` where it is missing or null."""
        value = self._left.pop(name, None)
        return default if value is None else value

    def number(self, name: str, default: float | None = None) -> Any:
        """A number.  Raises ExchangeError where there is none and no default."""
        value = self.take(name, default)
        if type(value) not in (int, float):
            raise ExchangeError(
                f"config.json has {self._where}{name} = {value!r:.40}, and a number is needed. "
                "Restore the file."
            )
        return value

    def one_of(self, name: str, table: Mapping[str, str], default: str | None = None) -> str:
        """What a table makes of a word.  Raises ExchangeError for one that it lacks."""
        word = self.take(name, default)
        if not isinstance(word, str) or word not in table:
            raise ExchangeError(
                f"config.json has {self._where}{name} = {word!r:.40}, which is not one of "
                f"{', '.join(table)}. {_ASK}"
            )
        return table[word]

    def section(self, name: str) -> Keys:
        """The keys of an object within."""
        value = self.take(name, {})
        if not isinstance(value, dict):
            raise ExchangeError(f"config.json has a {name} that is no object. Restore the file.")
        return Keys(value, f"{self._where}{name}.")

    def finish(self) -> None:
        """Raise ExchangeError if a key that was not asked for may change what is computed."""
        for name, value in self._left.items():
            empty = value is None or value is False or value in ("", [], {})
            neutral = name in NEUTRAL and type(value) in (str, bool, int, float) and (
                NEUTRAL[name] == value
            )
            if not (empty or neutral or name in HARMLESS):
                raise ExchangeError(
                    f"config.json has {self._where}{name} = {value!r:.60}, which may change what "
                    f"the model computes and is not known here. {_ASK}"
                )


# --- reading ------------------------------------------------------------------------------------


def read_config(values: Mapping[str, Any]) -> tuple[str, ModelShape]:
    """(model_type, shape) of a config.json.

    Raises ExchangeError for a type that is not known, and for a key that is missing, of a value
    that nothing here computes, or unknown and not empty.
    """
    kind = values.get("model_type")
    if not isinstance(kind, str) or kind not in READERS:
        raise ExchangeError(
            f"config.json has model_type = {kind!r:.40}. Known here: {', '.join(READERS)}."
        )
    keys = Keys(values)
    tied = keys.take("tie_word_embeddings", kind in TIED)
    if kind == "t5":  # transformers 5 calls it tied always, and notes here what the file said
        tied = keys.take("scale_decoder_outputs", tied)
    _quantization(keys.section("quantization_config"))
    found = READERS[kind](keys)
    found = {
        "family": kind, "vocab_size": keys.number("vocab_size"), "tied": tied, **found,
    }
    keys.finish()
    try:
        return kind, structure(ModelShape, found, "model.")
    except ConfigError as error:
        raise ExchangeError(f"config.json contradicts itself: {error}") from error


def _quantization(keys: Keys) -> None:
    """Raise ExchangeError for weights that are rounded in another way than bitsandbytes' NF4."""
    if keys.take("quant_method") == "bitsandbytes":
        keys.one_of("bnb_4bit_quant_type", {"nf4": "nf4"}, "fp4")
        keys.one_of("bnb_4bit_quant_storage", {"uint8": "uint8"}, "uint8")
    else:
        keys.finish()


def _llama(keys: Keys, kv_heads: int | None = None, positions: int = 2048) -> dict[str, Any]:
    heads = keys.number("num_attention_heads")
    return {
        "context": keys.number("max_position_embeddings", positions),
        "n_layers": keys.number("num_hidden_layers"), "n_heads": heads,
        "n_kv_heads": keys.number("num_key_value_heads", kv_heads or heads),
        "head_dim": keys.take("head_dim"), "d_model": keys.number("hidden_size"),
        "d_ff": keys.number("intermediate_size"), "eps": keys.number("rms_norm_eps", 1e-6),
        "activation": keys.one_of("hidden_act", GATED, "silu"), "rope_theta": _rotation(keys),
    }


def _rotation(keys: Keys) -> float:
    """The base of RoPE.  Raises ExchangeError for a rotation that is scaled or partial."""
    old, section = keys.take("rope_theta"), keys.section("rope_parameters")
    theta = section.take("rope_theta", old)
    section.finish()
    keys.section("rope_scaling").finish()
    if old not in (None, theta):
        raise ExchangeError(
            f"config.json has rope_theta = {old!r:.40} and rope_parameters.rope_theta = "
            f"{theta!r:.40}. Restore the file."
        )
    return 10000.0 if theta is None else theta


def _llama_itself(keys: Keys) -> dict[str, Any]:
    found = _llama(keys)
    attention, mlp = keys.take("attention_bias", False), keys.take("mlp_bias", False)
    if attention != mlp:
        raise ExchangeError(
            f"config.json has attention_bias = {attention!r:.40} and mlp_bias = {mlp!r:.40}. "
            f"Here both halves of a block have biases, or none. {_ASK}"
        )
    return {**found, "bias": "all" if attention else "none"}


def _mistral(keys: Keys) -> dict[str, Any]:
    found = _llama(keys, kv_heads=8, positions=131072)
    return {**found, "window": _window(keys, keys.take("sliding_window"), found["n_layers"])}


def _qwen(keys: Keys) -> dict[str, Any]:
    found = _llama(keys, positions=32768)
    width, layers = keys.take("sliding_window", 4096), found["n_layers"]
    full = keys.take("max_window_layers", 28)  # the first ones see everything
    if not keys.take("use_sliding_window", False):
        width, full = None, 0
    if width is not None and full:
        if type(full) is not int or full < layers:
            raise ExchangeError(
                f"config.json has max_window_layers = {full!r:.40} of num_hidden_layers = "
                f"{layers}: some layers see a window, others everything. {_ASK}"
            )
        width = None
    return {**found, "window": _window(keys, width, layers)}


def _window(keys: Keys, width: Any, layers: int) -> Any:
    """The window that all layers have, None for none.  Raises ExchangeError for a mixture."""
    kinds = keys.take("layer_types")
    if kinds is None:
        return width
    if not isinstance(kinds, list) or len(kinds) != layers or any(k != kinds[0] for k in kinds):
        raise ExchangeError(
            f"config.json has layer_types that differ, or are not num_hidden_layers = {layers}: "
            f"some layers see a window, others everything. {_ASK}"
        )
    table = {"full_attention": "full", "sliding_attention": "sliding"}
    sliding = Keys({"layer_types": kinds[0]}).one_of("layer_types", table) == "sliding"
    return width if sliding else None


def _gpt2(keys: Keys) -> dict[str, Any]:
    return {
        "context": keys.number("n_positions", 1024), "n_layers": keys.number("n_layer"),
        "n_heads": keys.number("n_head"), "d_model": keys.number("n_embd"),
        "d_ff": keys.take("n_inner"), "eps": keys.number("layer_norm_epsilon", 1e-5),
        "activation": keys.one_of("activation_function", UNGATED, "gelu_new"),
    }


def _mpt(keys: Keys) -> dict[str, Any]:
    keys.section("attn_config").finish()
    return {
        "context": keys.number("max_seq_len", 2048), "n_layers": keys.number("n_layers"),
        "n_heads": keys.number("n_heads"), "d_model": keys.number("d_model"),
        "eps": keys.number("layer_norm_epsilon", 1e-5), "activation": "gelu_erf",
    }


def _bert(keys: Keys) -> dict[str, Any]:
    """Bert, and Albert with its groups and its narrow tables."""
    return {
        "context": keys.number("max_position_embeddings", 512),
        "n_layers": keys.number("num_hidden_layers"),
        "n_heads": keys.number("num_attention_heads"), "d_model": keys.number("hidden_size"),
        "d_ff": keys.number("intermediate_size"), "eps": keys.number("layer_norm_eps", 1e-12),
        "activation": keys.one_of("hidden_act", UNGATED, "gelu"),
    }


def _albert(keys: Keys) -> dict[str, Any]:
    found = _bert(Keys({"hidden_act": keys.take("hidden_act", "gelu_new"), **{
        name: keys.take(name) for name in (
            "max_position_embeddings", "num_hidden_layers", "num_attention_heads", "hidden_size",
            "intermediate_size", "layer_norm_eps",
        )
    }}))
    groups = keys.number("num_hidden_groups", 1)
    return {**found, "n_blocks": groups, "embedding_size": keys.number("embedding_size", 128)}


def _t5(keys: Keys) -> dict[str, Any]:
    """Its context is whatever memory holds: theirs have been trained on 512 tokens."""
    word = keys.take("feed_forward_proj", "relu")
    keys.take("dense_act_fn")  # both follow from it
    keys.take("is_gated_act")
    gates = {"gated-gelu": "geglu", "gated-silu": "swiglu"}
    layers = keys.number("num_layers")
    if keys.number("num_decoder_layers", layers) != layers:
        raise ExchangeError(
            f"config.json has num_layers = {layers} and another num_decoder_layers. {_ASK}"
        )
    return {
        "context": keys.number("n_positions", 512), "n_layers": layers,
        "n_heads": keys.number("num_heads"), "head_dim": keys.number("d_kv"),
        "d_model": keys.number("d_model"), "d_ff": keys.number("d_ff"),
        "eps": keys.number("layer_norm_epsilon", 1e-6),
        "activation": Keys({"feed_forward_proj": word}).one_of(
            "feed_forward_proj", {**UNGATED, **gates}
        ),
    }


READERS: dict[str, Callable[[Keys], dict[str, Any]]] = {
    "gpt2": _gpt2, "llama": _llama_itself, "mistral": _mistral, "qwen2": _qwen, "qwen3": _qwen,
    "mpt": _mpt, "bert": _bert, "albert": _albert, "t5": _t5,
}
