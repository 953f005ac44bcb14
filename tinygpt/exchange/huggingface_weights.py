"""Hugging Face's weights: safetensors, in one file or in several with an index, <-> our model.

A folder is judged by its headers: each array that the configuration asks for must be there, of its
shape, and nothing may be left over, before a model is built. Then arrays are copied one by one from
the mapped files, so that reading takes the model's memory and no more.

Read first: huggingface_names.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from minigrad.nn.quantized import dequantize
from tinygpt.exchange.bitsandbytes import STATE, nf4_shape, read_nf4
from tinygpt.exchange.errors import ExchangeError
from tinygpt.exchange.huggingface_names import (
    SEGMENTS,
    factor,
    parts,
    row_of,
    sources,
    stored_across,
)
from tinygpt.model import LanguageModel, ModelShape, build
from tinygpt.storage import safetensors
from tinygpt.storage.durable import replacing
from tinygpt.storage.reading import ANYTHING, TEXT, FormatError, read_json

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLED = ("pytorch_model*.bin", "*.pt", "*.pth", "*.bin", "*.ckpt", "*.h5", "*.msgpack")
INDEX_FORM = {"weight_map": {str: TEXT}, str: ANYTHING}
# What a file may have besides: constants, and heads for what nothing here does.
BESIDES = re.compile(
    r"(.*\.attn\.(masked_)?bias|.*rotary_emb\.inv_freq|.*\.position_ids|(bert\.|albert\.)?pooler.*"
    r"|cls\.seq_relationship\..*|sop_classifier\..*|predictions\.decoder\.bias"
    r"|.*EncDecAttention\.relative_attention_bias\.weight"
    r"|cls\.predictions\.decoder\.bias)$"
)
BASES = ("transformer.", "model.", "bert.", "albert.")  # left out where the head is missing
PART_OF_NF4 = re.compile(r"\.(absmax|quant_map|nested_absmax|nested_quant_map|quant_state\..*)$")
FLOATS = ("F32", "F16", "BF16", "F64")


class Shards:
    """The arrays of a folder by the names that the whole model has.  Raises ExchangeError."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._files: dict[str, safetensors.Tensors] = {}
        self._where: dict[str, tuple[str, str]] = {}  # name -> file, name there
        for name, file in self._listed().items():
            if name not in self._open(file).entries:
                raise ExchangeError(
                    f"{folder / file} has no tensor {name}, which {INDEX} says it has. Copy both "
                    "again."
                )
            self._where[_modern(name)] = file, name

    def _listed(self) -> dict[str, str]:
        """Name -> file.  Raises ExchangeError for a folder without weights that can be read."""
        if (self.folder / INDEX).exists():
            try:
                listed: dict[str, str] = read_json(self.folder / INDEX, INDEX_FORM)["weight_map"]
            except FormatError as error:
                raise ExchangeError(
                    f"{self.folder / INDEX} is damaged: it {error}. Copy it again."
                ) from error
            outside = [
                f for f in listed.values()
                if Path(f).name != f or f in ("", ".", "..") or not f.isprintable()
            ]
            if outside:
                raise ExchangeError(
                    f"{self.folder / INDEX} names {outside[0]!r:.60}, which is no file of this "
                    "folder. Copy it again."
                )
            return listed
        if (self.folder / WEIGHTS).exists():
            return dict.fromkeys(self._open(WEIGHTS).entries, WEIGHTS)
        pickled = sorted(path.name for kind in PICKLED for path in self.folder.glob(kind))
        if pickled:
            raise ExchangeError(
                f"{self.folder} has pickled weights only ({pickled[0]}), and opening them may run "
                "whatever is in them. Get the model as safetensors, or save it so by transformers."
            )
        raise ExchangeError(
            f"{self.folder} has no {WEIGHTS} and no {INDEX}. Copy the whole folder of the model."
        )

    def _open(self, file: str) -> safetensors.Tensors:
        if file not in self._files:
            try:
                self._files[file] = safetensors.open_tensors(self.folder / file)
            except FormatError as error:
                raise ExchangeError(
                    f"{self.folder / file} is damaged: it {error}. Copy it again."
                ) from error
        return self._files[file]

    def names(self) -> set[str]:
        """Of the weights; what belongs to one of four bits is part of it."""
        return {name for name in self._where if not PART_OF_NF4.search(name)}

    def find(self, name: str) -> str | None:
        """The name under which the folder has an array, None if it has it under none."""
        bare = next((name.removeprefix(base) for base in BASES if name.startswith(base)), name)
        return next((known for known in (name, bare) if known in self._where), None)

    def shape(self, name: str) -> tuple[int, ...]:
        return nf4_shape(self, name) if f"{name}.{STATE}" in self else self[name].shape

    def __contains__(self, name: str) -> bool:
        return name in self._where

    def __getitem__(self, name: str) -> np.ndarray:
        """The array as it lies in its file."""
        file, own = self._where[name]
        return self._files[file].arrays[own]

    def values(self) -> int:
        """How many there are in all."""
        return sum(array.size for file in self._files.values() for array in file.arrays.values())

    def floats(self, name: str) -> np.ndarray:
        """An array as float32.  Raises ExchangeError for one of whole numbers."""
        if f"{name}.{STATE}" in self:
            return dequantize(read_nf4(self, name))
        file, own = self._where[name]
        kind = self._files[file].entries[own]["dtype"]
        return as_floats(kind, self[name], f"{self.folder / file} has {own}")


def as_floats(kind: str, array: np.ndarray, what: str) -> np.ndarray:
    """An array of a file as float32.

    kind: its dtype there.  what: how an error begins, "FILE has NAME".
    Raises ExchangeError for one of whole numbers.
    """
    if kind not in FLOATS:
        raise ExchangeError(
            f"{what} as {kind}, a quantization that is not read here. Use a folder with float "
            "weights, or a GGUF file."
        )
    if kind == "BF16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32, copy=False)


def _modern(name: str) -> str:
    """BERT's first files call a norm's weight and bias gamma and beta."""
    return re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", name))


def load_weights(folder: Path, kind: str, shape: ModelShape) -> LanguageModel:
    """The model of a folder, dropout off.  kind: its model_type.

    Raises ExchangeError for a missing tensor, one of another shape, or one that the configuration
    knows nothing of.
    """
    shards, row = Shards(folder), row_of(kind, shape)
    if shape.parameters > 2 * shards.values():  # nothing is built that the files do not bound
        raise ExchangeError(
            f"{folder}: config.json describes a model of {shape.parameters:,} values, its weights "
            f"are {shards.values():,}. Bring back the config.json that belongs to them."
        )
    model = build(shape, None)
    state = model.state_dict()
    used: set[str] = set()
    for name, array in state.items():
        for source, rows in _targets(row, shape, name, array):
            size = rows.shape[::-1] if stored_across(source) else rows.shape
            used.add(_check(shards, source, size))
    _check_left(shards, used, kind, shape)
    for name, array in state.items():
        for source, rows in _targets(row, shape, name, array):
            found = shards.floats(shards.find(source) or source)
            np.copyto(rows, found.T if stored_across(source) else found)
        scale = factor(kind, shape, name)
        if scale is not None:
            array *= scale
    if kind in SEGMENTS and (segment := shards.find(SEGMENTS[kind])):
        state["position_embedding.weight"] += shards.floats(segment)[0]
    model.eval()
    return model


def _targets(
    row: str, shape: ModelShape, name: str, array: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """(their name, the rows of ours that it fills) of one of our arrays."""
    theirs, at = sources(row, name), 0
    sizes = parts(shape, name, len(theirs)) or [len(array) // len(theirs)] * len(theirs)
    for source, size in zip(theirs, sizes, strict=True):
        yield source, array[at : at + size]
        at += size


def _check(shards: Shards, source: str, shape: tuple[int, ...]) -> str:
    """The name of an array in the folder, which is there and of this shape."""
    known = shards.find(source)
    if known is None:
        raise ExchangeError(
            f"{shards.folder} has no tensor {source}, which its config.json asks for. Copy the "
            "whole folder again, or bring back the config.json that belongs to it."
        )
    if shards.shape(known) != shape:
        raise ExchangeError(
            f"{shards.folder} has {known} of shape {list(shards.shape(known))}, its config.json "
            f"asks for {list(shape)}. Bring back the config.json that belongs to it."
        )
    return known


def _check_left(shards: Shards, used: set[str], kind: str, shape: ModelShape) -> None:
    """Raise ExchangeError for arrays that no part of the model takes: it is another model."""
    left = {name for name in shards.names() - used if not BESIDES.match(name)}
    copies = {"lm_head.weight", "cls.predictions.decoder.weight", "predictions.decoder.weight",
              "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"}
    if kind in SEGMENTS and (segment := shards.find(SEGMENTS[kind])):
        _check(shards, segment, (shards.shape(segment)[0], shape.embedding))
        left.discard(segment)
    table = shards.find(sources(row_of(kind, shape), "token_embedding.weight")[0])
    for name in sorted(left):
        if name not in copies:
            raise ExchangeError(
                f"{shards.folder} has the tensor {name}, of which its config.json says nothing. "
                "Bring back the config.json that belongs to it."
            )
        if table and not np.array_equal(shards.floats(name), shards.floats(table)):
            raise ExchangeError(
                f"{shards.folder} has a table {name} of its own, and its config.json says that the "
                f"tables are tied. Bring back the config.json that belongs to it."
            )


# --- writing ------------------------------------------------------------------------------------


def write_weights(model: LanguageModel, kind: str, path: Path) -> int:
    """Write a model's arrays under their names, float32; returns the file's size in bytes.

    A tied head is left out: it is the table.  Raises OSError.
    """
    arrays = dict(_named(model, kind))
    with replacing(path) as file:
        safetensors.write(file, arrays, {"format": "pt"})  # without it transformers refuses a file
    return file.size


def _named(model: LanguageModel, kind: str) -> Iterator[tuple[str, np.ndarray]]:
    shape, state = model.shape, model.state_dict()
    row = row_of(kind, shape)
    for name, array in state.items():
        scale = factor(kind, shape, name)
        array = array if scale is None else array / scale
        for source, rows in _targets(row, shape, name, array):
            yield source, np.ascontiguousarray(rows.T) if stored_across(source) else rows
            if kind == "gpt2" and source.endswith(".weight") and _biased(source):
                bias = source.removesuffix(".weight") + ".bias"
                if f"{name.removesuffix('.weight')}.bias" not in state:
                    yield bias, np.zeros(len(rows), np.float32)
    if kind in SEGMENTS:
        yield SEGMENTS[kind], np.zeros((2, shape.embedding), np.float32)


def _biased(source: str) -> bool:
    """Whether GPT-2 has a bias beside this weight."""
    return source.split(".")[-2] not in ("wte", "wpe", "lm_head")
