"""A quantized model in one file: weights, configuration, tokenizer, checksum.

It is a safetensors file, so any program can list it and nothing in it can run. The arrays lie as
the kernels read them (kernels/packing.py) and are mapped, not read: opening costs the checksum, and
a page of weights takes memory when it is first multiplied by. Two processes share one copy. (A
file that is cut while it is mapped ends whoever reads it: replace one by renaming, as we do.)

    NAME.codes, NAME.scale, NAME.offset     of each quantized module, scales of int4 as bfloat16,
    NAME.scale_factor, NAME.scale_mean      of NF4 as bytes with a second scale (QLoRA), of q4_1
                                            and q8_0 as float16, which is how they are used
    NAME.weight                             of each norm, float32

Read next: quality.py.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from minigrad import nn
from minigrad.nn.quantized import (
    SCHEMES,
    QuantizedEmbedding,
    QuantizedLinear,
    check_array,
    double_dequantize,
    file_layout,
)
from minigrad.ops.decode import Packed
from tinygpt.config import ConfigError, structure
from tinygpt.errors import UserError
from tinygpt.model import Classifier, HeadConfig, LanguageModel, build
from tinygpt.model.shape import ModelShape
from tinygpt.runs.chat_form import ChatForm
from tinygpt.storage import safetensors
from tinygpt.storage.durable import replacing
from tinygpt.storage.reading import ANYTHING, COUNT, TEXT, FormatError, check, one_of, parse_json
from tinygpt.tokenizer import Tokenizer, TokenizerError, from_json

FORMAT, VERSION = "tinygpt-quantized", "1"
PRETRAINING = "pretraining"
Arrays = dict[str, np.ndarray]
Quantizable = LanguageModel | Classifier
MATRICES = {str: (one_of(*SCHEMES), COUNT, COUNT)}  # name -> scheme, N, K
METADATA = {"config": TEXT, "matrices": TEXT, "tokenizer": TEXT, "sha256": TEXT}
ALIGNMENT = 64  # bytes: a vector of weights does not straddle two cache lines


def save_quantized(
    model: Quantizable, tokenizer: Tokenizer, path: str | Path, objective: str = PRETRAINING,
    form: ChatForm | None = None,
) -> int:
    """Write a quantized model; returns the file's size in bytes.

    objective: by which it was trained; a file that names none is of pretraining.
    form: how it is spoken to, if it came from elsewhere.
    What was there before stays whole if anything fails.
    Raises UserError if the model holds unquantized matrices or the place cannot be written.
    """
    path = Path(path)
    left = quantizable(model)
    if left:
        raise UserError(f"{next(iter(left))} is not quantized. Call quantize_model first.")
    tensors, matrices = arrays_of(model)
    bfloat16 = {name for name, array in tensors.items() if array.dtype == np.uint16}
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "config": json.dumps(dataclasses.asdict(model.shape)),
        "matrices": json.dumps(matrices),
        "tokenizer": tokenizer.to_json(),
    }
    if objective != PRETRAINING:
        metadata["objective"] = objective
    if form is not None:
        metadata["chat"] = form.to_json()
    if isinstance(model, Classifier):
        metadata["head"] = json.dumps(dataclasses.asdict(model.settings))
    entries = safetensors.describe(tensors, bfloat16)
    metadata["sha256"] = _digest(metadata, entries, tensors.values())
    try:
        with replacing(path) as file:
            safetensors.write(file, tensors, metadata, bfloat16, ALIGNMENT)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}. Choose another place or make room."
        ) from error
    return file.size


def load_quantized(path: str | Path) -> tuple[Any, Tokenizer]:
    """(model, tokenizer) of a file that save_quantized wrote, the weights mapped.

    The model is a LanguageModel, or a Classifier where the file has a head of classes.
    Raises UserError for a file of another kind or version, truncated, or altered. A checksum only
    finds accidents, for whoever alters a file can write the right one into it: what the file says
    of its arrays is held against the arrays before anything is built.
    """
    path = Path(path)
    file = _open(path)
    try:
        metadata = check(file.metadata, METADATA)
        if metadata["sha256"] != _digest(metadata, file.entries, file.arrays.values()):
            raise FormatError("was altered after it was written (its checksum is another)")
        shape = structure(ModelShape, parse_json(metadata["config"], {str: ANYTHING}), "model.")
        matrices = parse_json(metadata["matrices"], MATRICES)
        head = _head(metadata)
        beside = 0 if head is None else head.values(shape)
        _check_arrays(shape.parameters + beside, matrices, file.arrays)
        shape = dataclasses.replace(shape, dropout=0.0)
        model = build(shape, None) if head is None else Classifier(shape, head, None)
        _fill(model, matrices, file.arrays)
        tokenizer = from_json(metadata["tokenizer"])
    except FormatError as error:
        raise _damaged(path, f"it {error}") from error
    except (ValueError, ConfigError, TokenizerError) as error:
        raise _damaged(path, f"its parts do not fit together ({error})") from error
    model.eval()
    return model, tokenizer


def _head(metadata: dict[str, str]) -> HeadConfig | None:
    """What stands on the encoder of a file, None for a model that tells no classes."""
    if "head" not in metadata:
        return None
    return structure(HeadConfig, parse_json(metadata["head"], {str: ANYTHING}), "head.")


def as_floats(model: LanguageModel) -> LanguageModel:
    """A model of float32 weights that are what a quantized one's round to, to be trained."""
    arrays: Arrays = dict(model.state_dict())
    for name, module in model.named_modules():
        if isinstance(module, QuantizedLinear | QuantizedEmbedding):
            arrays[f"{name}.weight"] = module.dequantized()
    whole = build(model.shape, None)
    nn.copy_arrays(whole.state_dict(), arrays, "model")
    return whole.eval()


def described(path: Path) -> tuple[ModelShape, set[str]]:
    """(shape, schemes of the matrices) of a file, as its header says.  Raises UserError."""
    metadata = _open(path).metadata
    try:
        shape = structure(ModelShape, parse_json(metadata["config"], {str: ANYTHING}), "model.")
        matrices = parse_json(metadata["matrices"], MATRICES)
    except (KeyError, FormatError, ConfigError) as error:
        raise _damaged(path, f"its header cannot be read ({error})") from error
    return shape, {scheme for scheme, _, _ in matrices.values()}


def quantized_objective(path: Path) -> str:
    """The name of the objective that the model of a file was trained by.  Raises UserError."""
    return _open(path).metadata.get("objective", PRETRAINING)


def quantized_form(path: Path) -> ChatForm | None:
    """How the model of a file is spoken to, None for one of our own.  Raises UserError."""
    text = _open(path).metadata.get("chat")
    try:
        return None if text is None else ChatForm.from_values(parse_json(text))
    except FormatError as error:
        raise _damaged(path, f"its chat {error}") from error


def _damaged(path: Path, what: str) -> UserError:
    return UserError(f"{path} is damaged: {what}. Copy it again, or run `tinygpt quantize` again.")


def _open(path: Path) -> safetensors.Tensors:
    """The file, mapped, if it says that it is one of ours.  Raises UserError."""
    try:
        file = safetensors.open_tensors(path)
    except safetensors.ForeignError as error:
        raise _foreign(path) from error
    except FormatError as error:
        raise _damaged(path, f"it {error}") from error
    if file.metadata.get("format") != FORMAT:
        raise _foreign(path)
    if file.metadata.get("version") != VERSION:
        raise UserError(
            f"{path} is of version {file.metadata.get('version')}, this program reads version "
            f"{VERSION}. Update tinygpt, or run `tinygpt quantize` again."
        )
    return file


def _foreign(path: Path) -> UserError:
    return UserError(
        f"{path} is not a quantized model of tinygpt. Make one with `tinygpt quantize RUN --to "
        "int8 --out FILE`, or give the folder of a run."
    )


def _digest(metadata: dict[str, str], entries: dict[str, Any], arrays: Any) -> str:
    """SHA-256 of everything in the file but itself."""
    rest = {key: value for key, value in metadata.items() if key != "sha256"}
    digest = hashlib.sha256(json.dumps([rest, entries], sort_keys=True).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def quantizable(model: nn.Module) -> dict[str, Any]:
    """Dotted name -> every Linear and Embedding that is still float, in order."""
    return {
        name: module
        for name, module in model.named_modules()
        if type(module) in (nn.Linear, nn.Embedding)
    }


def arrays_of(model: nn.Module) -> tuple[dict[str, np.ndarray], dict[str, list[Any]]]:
    """The arrays of a file of the model, and [scheme, N, K] of each quantized module."""
    tensors: dict[str, np.ndarray] = dict(model.state_dict())
    matrices: dict[str, list[Any]] = {}
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
            parts = ("scale", "scale_factor", "scale_mean")  # but of nf4 the first alone
            for part, array in zip(parts, packed.kept or (packed.scale,), strict=False):
                tensors[f"{name}.{part}"] = array
    # Large arrays first: each then begins on a multiple of 64 bytes as long as their sizes are.
    order = sorted(tensors, key=lambda name: (tensors[name].nbytes % ALIGNMENT != 0, name))
    return {name: tensors[name] for name in order}, matrices


def _check_arrays(described: int, matrices: dict[str, list[Any]], tensors: Arrays) -> None:
    """Raise ValueError unless the arrays are as large as they are said to be, and all of a model
    of so many values.

    A file bounds its arrays; so what is built after this is bounded by the file.
    """
    left, values = dict(tensors), 0
    for name, (scheme, n, k) in matrices.items():
        for part, form in file_layout(scheme, (n, k)).items():
            full = f"{name}.{part}"
            check_array(left.pop(full, None), *form, full)
        values += n * k
    for name, array in left.items():
        check_array(array, array.shape, np.float32, name)
        values += array.size
    if values != described:
        raise ValueError(f"it holds {values:,} weights, and its shape has {described:,}")


def _fill(model: Quantizable, matrices: dict[str, list[Any]], tensors: Arrays) -> None:
    """Install the file's arrays in a model of zeros."""
    modules: dict[str, Any] = dict(model.named_modules())
    for name, (scheme, n, k) in matrices.items():
        before = modules.get(name)
        if not isinstance(before, nn.Linear | nn.Embedding) or before.weight.shape != (n, k):
            raise ValueError(f"{name} is no matrix of {n} rows and {k} columns in this model")
        packed = _packed(name, scheme, (n, k), tensors)
        _check_finite(f"{name}.scale", packed.scale)
        after: nn.Module
        if isinstance(before, nn.Linear):
            after = QuantizedLinear(packed, before.bias, before.activation)
        else:
            after = QuantizedEmbedding(packed)
        parent, _, attribute = name.rpartition(".")
        setattr(modules[parent], attribute, after)
    if left := quantizable(model):
        raise ValueError(f"{next(iter(left))} is missing")
    floats = model.state_dict()
    nn.copy_arrays(floats, {name: tensors[name] for name in floats if name in tensors}, "model")
    for name, array in floats.items():
        _check_finite(name, array)


def _check_finite(name: str, array: np.ndarray) -> None:
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds nan or infinity")


def _packed(name: str, scheme: str, shape: tuple[int, int], tensors: Arrays) -> Packed:
    codes, scale = tensors[f"{name}.codes"], tensors[f"{name}.scale"]
    if scheme == "int8":
        return Packed(scheme, shape, codes, scale, tensors[f"{name}.offset"])
    if scheme == "int4":
        floats = (scale.astype(np.uint32) << 16).view(np.float32)
        return Packed(scheme, shape, codes, floats, kept=(scale,))
    if scheme in ("q4_1", "q8_0"):
        return Packed(scheme, shape, codes, scale)
    kept = (scale, tensors[f"{name}.scale_factor"], tensors[f"{name}.scale_mean"])
    return Packed(scheme, shape, codes, double_dequantize(*kept), kept=kept)
