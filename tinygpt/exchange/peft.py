"""PEFT's adapters: a folder with adapter_config.json and adapter_model.safetensors <-> our methods.

    write_adapter(model, folder)            of an adapted model
    method = read_adapter(folder, model)    into the base that it was trained on

What stands in the files: peft_arrays.py. As with a model's config.json, a key that is not known
here and not empty may change what is computed, so it is an error that names it.

Read next: peft_arrays.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinygpt.adapters import MethodConfig
from tinygpt.exchange.errors import ExchangeError
from tinygpt.exchange.huggingface_weights import as_floats
from tinygpt.exchange.huggingface_write import class_of
from tinygpt.exchange.peft_arrays import (
    PREFIX,
    base_mark,
    install_factors,
    install_gains,
    install_prefix,
    install_prompt,
    written_factors,
    written_gains,
    written_prefix,
    written_prompt,
)
from tinygpt.model import GPT, LanguageModel
from tinygpt.runs.chat_form import ChatForm
from tinygpt.storage import safetensors
from tinygpt.storage.durable import replace_file, replacing
from tinygpt.storage.paths import check_folder, shown
from tinygpt.storage.reading import (
    ANYTHING,
    COUNT,
    NUMBER,
    TEXT,
    FormatError,
    Kind,
    optional,
    read_json,
)

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
MARK = "tinygpt_base"  # in the metadata of ours: which base it was trained on
# Keys that say how an adapter was trained, is found or begins, not what it computes.
HARMLESS = frozenset("""
    auto_mapping base_model_name_or_path corda_config encoder_hidden_size ensure_weight_tying
    eva_config exclude_modules fan_in_fan_out inference_mode init_ia3_weights init_weights
    layers_pattern layers_to_transform loftq_config lora_dropout megatron_config megatron_core
    num_attention_heads num_layers num_transformer_submodules num_virtual_tokens peft_type
    peft_version prompt_tuning_init prompt_tuning_init_text qalora_group_size revision
    target_modules task_type token_dim tokenizer_kwargs tokenizer_name_or_path feedforward_modules
    r lora_alpha use_rslora use_dora rank_pattern alpha_pattern
""".split())
POSITIVE = Kind("a number above 0", lambda value: NUMBER.holds(value) and value > 0)
PATTERN = Kind("null or numbers above 0 by path", lambda value: value is None or (
    isinstance(value, dict) and all(map(POSITIVE.holds, value.values()))
))
CONFIG_FILE = {
    "peft_type": TEXT, "r?": COUNT, "lora_alpha?": POSITIVE, "lora_dropout?": optional(NUMBER),
    "rank_pattern?": PATTERN, "alpha_pattern?": PATTERN, str: ANYTHING,
}
UNTOUCHED = (True, False, "gaussian", "eva", "orthogonal")  # initial values that leave W as it is
INSTALL = {
    "LORA": install_factors, "IA3": install_gains, "PREFIX_TUNING": install_prefix,
    "PROMPT_TUNING": install_prompt,
}
WRITTEN = (written_factors, written_gains, written_prefix, written_prompt)


def looks_like(path: str | Path) -> bool:
    """Whether a folder is an adapter of PEFT's, whole or damaged."""
    return (Path(path) / CONFIG).is_file()


def look(folder: Path) -> tuple[str, str]:
    """(what an adapter is, as "LORA of rank 8"; the name of its base as it says, "" for none).

    Raises FormatError for a damaged adapter_config.json.
    """
    config = read_json(folder / CONFIG, CONFIG_FILE)
    base, rank = config.get("base_model_name_or_path"), config.get("r")
    what = shown(config["peft_type"])[:40] + (f" of rank {rank}" if type(rank) is int else "")
    return what, shown(base) if isinstance(base, str) else ""


def read_adapter(
    folder: str | Path, model: LanguageModel, rng: np.random.Generator | None = None
) -> MethodConfig:
    """Install a PEFT adapter in its base, in place; returns the method.

    rng: draws dropout, to train it on; None: no dropout.
    Raises ExchangeError for a damaged folder, an adapter of another base, or a kind that nothing
    here computes.
    """
    folder = Path(folder)
    kind = _decoder(model)
    try:
        config = read_json(folder / CONFIG, CONFIG_FILE)
        file = safetensors.open_tensors(folder / WEIGHTS)
    except FormatError as error:
        raise ExchangeError(
            f"{folder} is no adapter of PEFT: its {CONFIG} or {WEIGHTS} {error}. Copy both again."
        ) from error
    _check(folder, config)
    mark = base_mark(model)
    if mark is not None and file.metadata.get(MARK) not in (None, mark):
        raise ExchangeError(
            f"{folder} was trained on another base: the vectors of this one's tokens are others. "
            "Give the model that it was made for."
        )
    arrays = {
        name.removeprefix(PREFIX): as_floats(
            file.entries[name]["dtype"], array, f"{folder} has {name}"
        )
        for name, array in file.arrays.items()
    }
    method = INSTALL[config["peft_type"]](model, kind, config, arrays, rng)
    if arrays:
        raise ExchangeError(
            f"{folder} has {min(arrays)}, which is no part of this model"
            f"{_of_the_head(min(arrays))}. Give the base that it was trained on."
        )
    return method


def write_adapter(
    model: LanguageModel, folder: str | Path, base: str = "", form: ChatForm | None = None
) -> None:
    """Write the adapter of a model as PEFT does.

    base: the name of what it was trained on, for base_model_name_or_path.
    form: how it is spoken to, in a file of ours that PEFT passes over.
    Raises ExchangeError for a method that PEFT has not, a base that transformers has not, or a
    place that cannot be written.
    """
    kind, folder = _decoder(model), Path(folder)
    for written in WRITTEN:
        found = written(model, kind)
        if found is not None:
            break
    else:
        raise ExchangeError(
            "PEFT has no file for this model's adapter, if it has one. Export lora, dora, qlora, "
            "ia3, prefix or prompt; or merge, and export the whole model."
        )
    config, arrays = found
    values = {
        "base_model_name_or_path": base or None, "inference_mode": True, "task_type": "CAUSAL_LM",
        **config,
    }
    mark = base_mark(model)
    metadata = {"format": "pt", **({} if mark is None else {MARK: mark})}
    named = {f"{PREFIX if '.' in name else ''}{name}": array for name, array in arrays.items()}
    check_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / WEIGHTS) as file:
            safetensors.write(file, named, metadata)
        replace_file(folder / CONFIG, json.dumps(values, indent=2) + "\n")
        if form is not None:
            form.leave(folder)
    except OSError as error:
        raise ExchangeError(
            f"cannot write {shown(folder)}: {error.strerror or error}. Choose another place or "
            "make room."
        ) from error


def _decoder(model: LanguageModel) -> str:
    """The model_type of a decoder.  Raises ExchangeError."""
    if not isinstance(model, GPT):
        raise ExchangeError(
            f"adapters are exchanged for decoders, and this model is an {model.shape.assembly}. "
            "Merge, and export the whole model."
        )
    return class_of(model.shape)


def _check(folder: Path, config: Mapping[str, Any]) -> None:
    """Raise ExchangeError for a key that changes what is computed and is not known here."""
    if config["peft_type"] not in list(INSTALL):  # whatever a file may hold, also a list
        raise ExchangeError(
            f"{folder} is an adapter of type {config['peft_type']!r:.40}. Known here: "
            f"{', '.join(INSTALL)}."
        )
    if config.get("modules_to_save"):
        raise ExchangeError(
            f"{folder} brings whole modules of its own (modules_to_save = "
            f"{config['modules_to_save']!r:.60}), which are no adapter. Merge it with PEFT, and "
            "open the merged model."
        )
    for name, value in config.items():
        empty = value is None or value is False or value in ("", "none", [], {})
        begins = name == "init_lora_weights" and value in UNTOUCHED
        if not (empty or begins or name in HARMLESS):
            raise ExchangeError(
                f"{folder / CONFIG} has {name} = {value!r:.60}, which may change what the adapter "
                "computes and is not known here. Merge it with PEFT, and open the merged model."
            )


def _of_the_head(name: str) -> str:
    """Why a table cannot be adapted, where that is what a file asks for."""
    if not any(table in name for table in ("lm_head", "embed_tokens", "wte")):
        return ""
    return (
        ": a table is adapted there, and where it is tied to the output projection, what tokens "
        "mean would change with how they are predicted"
    )
