"""The arrays of PEFT's adapters and where they stand in our modules.

    base_model.model.PATH.lora_A.weight    (r, in)        PATH: the module in transformers' model
    base_model.model.PATH.lora_B.weight    (out, r)
    base_model.model.PATH.lora_magnitude_vector  (out,)   DoRA's
    base_model.model.PATH.ia3_l            (out, 1), or (1, in) of a feedforward module
    prompt_embeddings                      (n, C), or (n, 2 layers Hkv D) of a prefix

Where one of our modules packs several of theirs, rows of it are theirs (huggingface_names.py).
Going out, B is cut by rows and A repeated; coming in, each of theirs is a part with factors of its
own.
Where theirs is the packed one (GPT-2's c_attn) and we have factors for its parts, theirs are as
many times the rank: A one below the other, B block-diagonal. All of it is exact.

Read first: peft.py.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minigrad import nn
from tinygpt.adapters import MethodConfig, adapt
from tinygpt.adapters.dora import DoRALinear
from tinygpt.adapters.ia3 import ScaledInput, ScaledOutput
from tinygpt.adapters.lora import LoRALinear, spread
from tinygpt.adapters.prefix import PrefixAttention
from tinygpt.adapters.targets import Rows, matrix_shape, parts
from tinygpt.errors import UserError
from tinygpt.exchange import huggingface_names as names
from tinygpt.exchange.errors import ExchangeError
from tinygpt.model import GPT, LanguageModel

PREFIX = "base_model.model."
Arrays = dict[str, np.ndarray]
Config = Mapping[str, Any]
Written = tuple[dict[str, Any], Arrays] | None
Rng = np.random.Generator | None


def base_mark(model: LanguageModel) -> str | None:
    """A checksum of the tokens' vectors, by which a base is known; None if they are rounded."""
    table = getattr(model, "token_embedding", None)
    if not isinstance(table, nn.Embedding):
        return None
    return hashlib.blake2b(np.ascontiguousarray(table.weight.data).data, digest_size=16).hexdigest()


def _theirs(model: LanguageModel, kind: str, name: str) -> list[tuple[str, Rows]]:
    """(path, rows) of each of their modules that ours of a dotted name packs."""
    row = names.row_of(kind, model.shape)
    paths = [one.removesuffix(".weight") for one in names.sources(row, f"{name}.weight")]
    out = max(stop for _, stop in parts(name, model.shape).values())
    sizes = names.parts(model.shape, name, len(paths)) or [out // len(paths)] * len(paths)
    ends = np.cumsum(sizes)
    return [(path, (int(end - size), int(end)))
            for path, size, end in zip(paths, sizes, ends, strict=True)]


def _products(model: LanguageModel) -> Iterator[tuple[str, Any]]:
    """Each product of a block by its name, adapted or not."""
    for name, module in model.named_modules():
        if parts(name, model.shape):
            yield name, module


def _short(path: str) -> str:
    """The end of a path by which PEFT finds the same module in every layer."""
    return ".".join(path.split(".")[-2:])


# --- W + s B A ----------------------------------------------------------------------------------


def written_factors(model: LanguageModel, kind: str) -> Written:
    """Of lora, dora and qlora; None for another method."""
    arrays: Arrays = {}
    ranks: dict[str, tuple[int, float]] = {}  # short path -> rank, alpha
    module: Any = None
    for name, module in _products(model):
        if not isinstance(module, LoRALinear):
            continue
        whole = spread(module.B, module.rows, matrix_shape(module.base)[0], module.rank, 1.0).data
        for path, (start, stop) in _theirs(model, kind, name):
            inside = [i for i, (a, b) in enumerate(module.rows) if a < stop and start < b]
            if not inside:
                continue
            columns = np.concatenate(
                [np.arange(i * module.rank, (i + 1) * module.rank) for i in inside]
            )
            arrays[f"{path}.lora_A.weight"] = module.A.data[columns]
            arrays[f"{path}.lora_B.weight"] = np.ascontiguousarray(whole[start:stop, columns])
            if isinstance(module, DoRALinear):
                arrays[f"{path}.lora_magnitude_vector"] = module.magnitudes()[start:stop]
            root = math.sqrt if module.method.rslora else float
            ranks[_short(path)] = len(columns), module.scale * root(len(columns))
    if not ranks:
        return None
    some = next(m for _, m in _products(model) if isinstance(m, LoRALinear))
    common = min(ranks.values())
    return {
        "peft_type": "LORA", "r": common[0], "lora_alpha": _whole(common[1]),
        "lora_dropout": some.method.dropout, "target_modules": sorted(ranks),
        "fan_in_fan_out": kind == "gpt2", "bias": "none", "use_rslora": some.method.rslora,
        "use_dora": isinstance(some, DoRALinear), "modules_to_save": None,
        "rank_pattern": {path: r for path, (r, _) in ranks.items() if r != common[0]},
        "alpha_pattern": {
            path: _whole(alpha) for path, (_, alpha) in ranks.items() if alpha != common[1]
        },
        "init_lora_weights": True,
    }, arrays


def _whole(number: float) -> float | int:
    """2.0 as 2, as others write it."""
    return round(number) if abs(number - round(number)) < 1e-9 else number


def install_factors(
    model: LanguageModel, kind: str, config: Config, arrays: Arrays, rng: Rng
) -> MethodConfig:
    """LoRA and DoRA; what is used is taken out of `arrays`."""
    dora, rslora = bool(config.get("use_dora")), bool(config.get("use_rslora"))
    method = MethodConfig(
        "dora" if dora else "lora", int(config.get("r", 8)), float(config.get("lora_alpha", 8)),
        rslora, float(config.get("lora_dropout") or 0.0),
    )
    model.requires_grad_(False)
    targets: set[str] = set()
    for name, module in list(_products(model)):
        found = []
        for path, rows in _theirs(model, kind, name):
            if f"{path}.lora_A.weight" in arrays:
                A, B = (_take(arrays, f"{path}.lora_{part}.weight") for part in "AB")
                _check_factors(path, A, B, rows, matrix_shape(module)[1])
                alpha = _of_path(config.get("alpha_pattern"), path, method.alpha)
                scale = alpha / (math.sqrt(len(A)) if rslora else len(A))
                found.append((rows, A, B, scale, arrays.pop(f"{path}.lora_magnitude_vector", None)))
        if found:
            _install(model, module, found, method, rng)
            known = parts(name, model.shape)
            targets |= {t for t, rows in known.items() if rows in [each[0] for each in found]}
    if not targets:
        raise ExchangeError(
            "this adapter changes nothing that this model has. Give the base that it was trained "
            "on."
        )
    if {"q", "k", "v"} <= targets:
        targets -= {"qkv"}
    return dataclasses.replace(method, targets=tuple(sorted(targets)))


def _install(
    model: LanguageModel, module: Any, found: list[Any], method: MethodConfig, rng: Rng
) -> None:
    """Put the factors of one of our modules beside it: all of the largest rank, filled with zeros,
    and of the first one's scale."""
    rank, scale = max(len(each[1]) for each in found), found[0][3]
    own = dataclasses.replace(
        method, rank=rank, alpha=scale * (math.sqrt(rank) if method.rslora else rank)
    )
    cls = DoRALinear if method.name == "dora" else LoRALinear
    made = cls(module, [each[0] for each in found], own, rng)
    made.A.data[...] = np.concatenate(
        [np.pad(A, ((0, rank - len(A)), (0, 0))) for _, A, *_ in found]
    )
    made.B.data[...] = np.concatenate([
        np.pad(B, ((0, 0), (0, rank - B.shape[1]))) * np.float32(s / scale)
        for _, _, B, s, _ in found
    ])
    if isinstance(made, DoRALinear):
        if any(each[4] is None or each[4].shape != (len(each[2]),) for each in found):
            raise ExchangeError(
                "this adapter is called DoRA, and a lora_magnitude_vector is missing or of another "
                "size. Copy its files again."
            )
        made.magnitude.data[...] = np.concatenate([each[4] for each in found])
    nn.replace_modules(model, lambda _, other: other is module, lambda _: made)


def _of_path(pattern: Any, path: str, default: float) -> float:
    """PEFT's own rule: a key of a pattern is how the path ends."""
    for key, value in (pattern or {}).items():
        if path == key or path.endswith(f".{key}"):
            return float(value)
    return default


def _take(arrays: Arrays, name: str) -> np.ndarray:
    if name not in arrays:
        raise ExchangeError(f"this adapter has no {name}. Copy its files again.")
    return arrays.pop(name)


def _check_factors(path: str, A: np.ndarray, B: np.ndarray, rows: Rows, inner: int) -> None:
    out = rows[1] - rows[0]
    if A.ndim != 2 or B.ndim != 2 or (A.shape[1], B.shape) != (inner, (out, len(A))):
        raise ExchangeError(
            f"this adapter has factors {B.shape} and {A.shape} for {path}, whose matrix is here "
            f"{(out, inner)}. Give the base that it was trained on."
        )
    if not 1 <= len(A) <= min(out, inner):
        raise ExchangeError(
            f"this adapter has factors of rank {len(A)} for {path}, and ranks from 1 to "
            f"{min(out, inner)} can change its matrix of {(out, inner)}. Train one of such a rank, "
            "or merge it with PEFT."
        )


# --- IA3 ----------------------------------------------------------------------------------------


def written_gains(model: LanguageModel, kind: str) -> Written:
    """Of ia3; None for another method."""
    arrays: Arrays = {}
    targets: set[str] = set()
    inputs: set[str] = set()
    for name, module in _products(model):
        if isinstance(module, ScaledInput):
            path = _theirs(model, kind, name)[0][0]
            arrays[f"{path}.ia3_l"] = module.gain.data[None]
            inputs.add(_short(path))
        elif isinstance(module, ScaledOutput):
            whole = module.gains().data
            for path, (start, stop) in _theirs(model, kind, name):
                if any(a < stop and start < b for a, b in module.rows):
                    arrays[f"{path}.ia3_l"] = whole[start:stop, None]
                    targets.add(_short(path))
    if not arrays:
        return None
    return {
        "peft_type": "IA3", "target_modules": sorted(targets | inputs),
        "feedforward_modules": sorted(inputs), "fan_in_fan_out": kind == "gpt2",
        "modules_to_save": None, "init_ia3_weights": True,
    }, arrays


def install_gains(
    model: LanguageModel, kind: str, config: Config, arrays: Arrays, rng: Rng
) -> MethodConfig:
    """IA3; what is used is taken out of `arrays`."""
    model.requires_grad_(False)
    targets: set[str] = set()
    for name, module in list(_products(model)):
        theirs = [each for each in _theirs(model, kind, name) if f"{each[0]}.ia3_l" in arrays]
        if not theirs:
            continue
        gains = [arrays.pop(f"{path}.ia3_l") for path, _ in theirs]
        rows = [each[1] for each in theirs]
        known = parts(name, model.shape)
        made: Any
        if gains[0].shape == (1, matrix_shape(module)[1]) and len(known) == 1:
            made = ScaledInput(module)
        else:
            made = ScaledOutput(module, rows)
        if sum(g.size for g in gains) != made.gain.data.size:
            raise ExchangeError(
                f"this adapter has {gains[0].size} factors for {theirs[0][0]}, and there are "
                f"{made.gain.data.size} here. Give the base that it was trained on."
            )
        made.gain.data[...] = np.concatenate([g.reshape(-1) for g in gains])
        nn.replace_modules(model, lambda _, other: other is module, lambda _: made)  # noqa: B023
        targets |= {t for t, place in known.items() if place in rows}
    return MethodConfig("ia3", targets=tuple(sorted(targets)) or None)


# --- before a text ------------------------------------------------------------------------------


def written_prefix(model: LanguageModel, kind: str) -> Written:
    """Of prefix; None for another method."""
    layers = [m for m in model.modules() if isinstance(m, PrefixAttention)]
    if not layers:
        return None
    pairs = [part.data for layer in layers for part in (layer.keys, layer.values)]
    table = np.stack(pairs, axis=1)  # (n, 2 L, Hkv, D)
    kv_heads, size = table.shape[2:]
    return {
        "peft_type": "PREFIX_TUNING", "num_virtual_tokens": len(table),
        "token_dim": kv_heads * size, "num_transformer_submodules": 1,
        "num_attention_heads": kv_heads, "num_layers": len(layers),
        "encoder_hidden_size": kv_heads * size, "prefix_projection": False,
    }, {"prompt_embeddings": table.reshape(len(table), -1)}


def install_prefix(
    model: LanguageModel, kind: str, config: Config, arrays: Arrays, rng: Rng
) -> MethodConfig:
    """Prefix tuning; what is used is taken out of `arrays`."""
    table = _take(arrays, "prompt_embeddings")
    _, kv_heads, size = model.shape.heads
    wanted = 2 * model.shape.n_layers * kv_heads * size
    _check_table(table, wanted)
    method = MethodConfig("prefix", tokens=len(table))
    _adapt(model, method)
    pairs = table.reshape(len(table), 2 * model.shape.n_layers, kv_heads, size)
    layers = [m for m in model.modules() if isinstance(m, PrefixAttention)]
    for i, layer in enumerate(layers):
        layer.keys.data[...], layer.values.data[...] = pairs[:, 2 * i], pairs[:, 2 * i + 1]
    return method


def written_prompt(model: LanguageModel, kind: str) -> Written:
    """Of prompt; None for another method."""
    if not isinstance(model, GPT) or model.prompt is None:
        return None
    vectors = model.prompt.state_dict()["vectors"]
    return {
        "peft_type": "PROMPT_TUNING", "num_virtual_tokens": len(vectors),
        "token_dim": vectors.shape[1], "num_transformer_submodules": 1,
        "num_attention_heads": model.shape.n_heads, "num_layers": model.shape.n_layers,
        "prompt_tuning_init": "RANDOM", "prompt_tuning_init_text": None,
        "tokenizer_name_or_path": None,
    }, {"prompt_embeddings": vectors}


def install_prompt(
    model: LanguageModel, kind: str, config: Config, arrays: Arrays, rng: Rng
) -> MethodConfig:
    """Prompt tuning; what is used is taken out of `arrays`."""
    table = _take(arrays, "prompt_embeddings")
    _check_table(table, model.shape.embedding)
    method = MethodConfig("prompt", tokens=len(table))
    _adapt(model, method)
    assert isinstance(model, GPT) and model.prompt is not None
    model.prompt.state_dict()["vectors"][...] = table
    return method


def _check_table(table: np.ndarray, width: int) -> None:
    if table.ndim != 2 or table.shape[1] != width:
        raise ExchangeError(
            f"this adapter has vectors of shape {table.shape}, and this model's are {width} wide. "
            "Give the base that it was trained on."
        )


def _adapt(model: LanguageModel, method: MethodConfig) -> None:
    try:
        adapt(model, method, None)
    except UserError as error:
        raise ExchangeError(str(error)) from error
