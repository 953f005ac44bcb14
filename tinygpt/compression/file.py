"""A quantized model in one file: weights, configuration, tokenizer, checksum.

It is a safetensors file (8 bytes: length of the header; the header, JSON; the arrays), so any
program can list it and nothing in it can run. The arrays lie as the kernels read them
(kernels/packing.py) and are mapped, not read: opening costs the checksum, and a page of weights
takes memory when it is first multiplied by. Two processes share one copy.

    NAME.codes, NAME.scale, NAME.offset     of each quantized module, scales of int4 as bfloat16,
    NAME.scale_factor, NAME.scale_mean      of NF4 as bytes with a second scale (QLoRA)
    NAME.weight                             of each norm, float32

Read next: quality.py.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from minigrad import nn
from minigrad.nn.quantized import (
    QuantizedEmbedding,
    QuantizedLinear,
    double_dequantize,
)
from minigrad.ops.decode import Packed
from tinygpt.compression.quantize import SCHEMES, quantizable
from tinygpt.config import ConfigError, GPTConfig
from tinygpt.errors import UserError
from tinygpt.model import GPT

FORMAT, VERSION = "tinygpt-quantized", "1"
_DTYPES = {"I8": np.int8, "U8": np.uint8, "BF16": np.uint16, "I32": np.int32, "F32": np.float32}
_NAMES = {np.dtype(kind): name for name, kind in _DTYPES.items()}
_ALIGNMENT = 64  # bytes: a vector of weights does not straddle two cache lines


def save_quantized(model: GPT, tokenizer: Any, path: str | Path) -> int:
    """Write a quantized model; returns the file's size in bytes.

    Written beside `path` and renamed: what was there before stays whole if anything fails.
    Raises UserError if the model holds unquantized matrices or the place cannot be written.
    """
    path = Path(path)
    left = quantizable(model)
    if left:
        raise UserError(f"{next(iter(left))} is not quantized. Call quantize_model first.")
    tensors, matrices = _tensors(model)
    entries, at = {}, 0
    for name, array in tensors.items():
        entries[name] = {
            "dtype": _NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "config": json.dumps(dataclasses.asdict(model.config)),
        "matrices": json.dumps(matrices),
        "tokenizer": _tokenizer_text(tokenizer),
    }
    metadata["sha256"] = _digest(metadata, entries, tensors.values())
    header = json.dumps({"__metadata__": metadata, **entries}).encode()
    header += b" " * (-(8 + len(header)) % _ALIGNMENT)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(partial, "wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            for array in tensors.values():
                file.write(np.ascontiguousarray(array).data)
        os.replace(partial, path)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}. Choose another place or make room."
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return path.stat().st_size


def load_quantized(path: str | Path) -> tuple[GPT, Any]:
    """(model, tokenizer) of a file that save_quantized wrote, the weights mapped.

    Raises UserError for a file of another kind or version, truncated, or altered.
    """
    path = Path(path)
    metadata, entries, data = _read(path)
    try:
        tensors = {name: _view(data, entry) for name, entry in entries.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"its header does not describe its arrays ({error})") from error
    if metadata.get("sha256") != _digest(metadata, entries, tensors.values()):
        raise _damaged(path, "its checksum does not match: it was altered after it was written")
    try:
        config = GPTConfig(**json.loads(metadata["config"]))
        matrices = json.loads(metadata["matrices"])
        model = GPT(dataclasses.replace(config, dropout=0.0), None)
        _fill(model, matrices, tensors)
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise _damaged(path, f"its parts do not fit together ({error})") from error
    model.eval()
    return model, _tokenizer(metadata["tokenizer"])


def _damaged(path: Path, what: str) -> UserError:
    return UserError(f"{path} is damaged: {what}. Copy it again, or run `tinygpt quantize` again.")


def _read(path: Path) -> tuple[dict[str, str], dict[str, dict], np.ndarray]:
    """(metadata, array entries, the mapped bytes behind the header)."""
    foreign = UserError(
        f"{path} is not a quantized model of tinygpt. Make one with `tinygpt quantize RUN --to "
        "int8 --out FILE`, or give the folder of a run."
    )
    if path.stat().st_size < 10:
        raise foreign
    mapped = np.memmap(path, dtype=np.uint8, mode="r")
    length = int.from_bytes(mapped[:8].tobytes(), "little")
    if mapped[8] != ord("{") or length > 1 << 28:
        raise foreign
    if 8 + length > mapped.size:
        raise _damaged(path, f"it ends after {mapped.size} bytes, within its header")
    try:
        header = json.loads(mapped[8 : 8 + length].tobytes())
        metadata = header.pop("__metadata__", {})
        if metadata.get("format") != FORMAT:
            raise foreign
        if metadata.get("version") != VERSION:
            raise UserError(
                f"{path} is of version {metadata.get('version')}, this program reads version "
                f"{VERSION}. Update tinygpt, or run `tinygpt quantize` again."
            )
        end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    except (ValueError, AttributeError, KeyError, TypeError, IndexError) as error:
        raise _damaged(path, f"its header cannot be read ({error})") from error
    if mapped.size != 8 + length + end:
        raise _damaged(path, f"it has {mapped.size} bytes of {8 + length + end}")
    return metadata, header, mapped[8 + length :]


def _view(data: np.ndarray, entry: dict) -> np.ndarray:
    """One array of the file, not copied."""
    begin, end = entry["data_offsets"]
    return data[begin:end].view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])


def _digest(metadata: dict[str, str], entries: dict, arrays: Any) -> str:
    """SHA-256 of everything in the file but itself."""
    rest = {key: value for key, value in metadata.items() if key != "sha256"}
    digest = hashlib.sha256(json.dumps([rest, entries], sort_keys=True).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _tensors(model: GPT) -> tuple[dict[str, np.ndarray], dict[str, list]]:
    """The arrays of the file, and [scheme, N, K] of each quantized module."""
    tensors: dict[str, np.ndarray] = dict(model.state_dict())
    matrices: dict[str, list] = {}
    for name, module in model.named_modules():
        if not isinstance(module, (QuantizedLinear, QuantizedEmbedding)):
            continue
        packed = module.packed
        matrices[name] = [packed.scheme, *packed.shape]
        tensors[f"{name}.codes"] = packed.codes
        if packed.offset is not None:  # int8
            tensors[f"{name}.scale"] = packed.scale
            tensors[f"{name}.offset"] = packed.offset
        else:
            parts = ("scale", "scale_factor", "scale_mean")  # of int4 the first alone
            for part, array in zip(parts, packed.kept, strict=False):
                tensors[f"{name}.{part}"] = array
    # Large arrays first: each then begins on a multiple of 64 bytes as long as their sizes are.
    order = sorted(tensors, key=lambda name: (tensors[name].nbytes % _ALIGNMENT != 0, name))
    return {name: tensors[name] for name in order}, matrices


def _fill(model: GPT, matrices: dict[str, list], tensors: dict[str, np.ndarray]) -> None:
    """Install the file's arrays in a model of zeros."""
    modules: dict[str, Any] = dict(model.named_modules())
    for name, (scheme, n, k) in matrices.items():
        if scheme not in SCHEMES:
            raise ValueError(f"unknown scheme {scheme!r}")
        before = modules[name]
        if before.weight.shape != (n, k):
            raise ValueError(f"{name} is {(n, k)}, the model wants {before.weight.shape}")
        packed = _packed(name, scheme, (n, k), tensors)
        after: nn.Module
        if isinstance(before, nn.Linear):
            after = QuantizedLinear(packed, before.bias, before.activation)
        else:
            after = QuantizedEmbedding(packed)
        parent, _, attribute = name.rpartition(".")
        setattr(modules[parent], attribute, after)
    floats = model.state_dict()
    missing = [name for name in floats if name not in tensors]
    if missing or quantizable(model):
        raise ValueError(f"{(missing or list(quantizable(model)))[0]} is missing")
    for name, array in floats.items():
        np.copyto(array, tensors[name])


def _packed(name: str, scheme: str, shape: tuple[int, int], tensors: dict) -> Packed:
    codes, scale = tensors[f"{name}.codes"], tensors[f"{name}.scale"]
    if scheme == "int8":
        return Packed(scheme, shape, codes, scale, tensors[f"{name}.offset"])
    if scheme == "int4":
        floats = (scale.astype(np.uint32) << 16).view(np.float32)
        return Packed(scheme, shape, codes, floats, kept=(scale,))
    kept = (scale, tensors[f"{name}.scale_factor"], tensors[f"{name}.scale_mean"])
    return Packed(scheme, shape, codes, double_dequantize(*kept), kept=kept)


def _tokenizer_text(tokenizer: Any) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tokenizer.json")
        tokenizer.save(path)
        return path.read_text(encoding="utf-8")


def _tokenizer(text: str) -> Any:
    from tinygpt.tokenizer import load

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tokenizer.json")
        path.write_text(text, encoding="utf-8")
        return load(path)
