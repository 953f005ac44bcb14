"""A GGUF file as a model of ours, and a model of ours as a GGUF file.

    opened = open_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    write_gguf("story.gguf", model, tokenizer, "Q8_0")

Blocks that a kernel of ours multiplies by stay as they are, and only their order in memory changes
(AS_THEY_ARE); all other kinds become float32, and `Opened.notes` says what that costs. `whole=True`
makes float32 of everything.

Read first: gguf.py, gguf_architectures.py, gguf_tokenizer.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigrad import nn
from minigrad.nn import QuantizedEmbedding, QuantizedLinear
from minigrad.ops.decode import Packed
from tinygpt.exchange import gguf_blocks
from tinygpt.exchange.errors import ExchangeError
from tinygpt.exchange.gguf import GGUF, open_gguf
from tinygpt.exchange.gguf_architectures import (
    Part,
    architecture_of,
    half_apart,
    layout,
    neighbours,
    read_shape,
    write_keys,
)
from tinygpt.exchange.gguf_tokenizer import difference, read_tokenizer, write_tokenizer
from tinygpt.exchange.gguf_write import Unsigned, write
from tinygpt.model import LanguageModel, build
from tinygpt.runs.chat_form import ChatForm
from tinygpt.storage.durable import replacing
from tinygpt.storage.paths import shown
from tinygpt.storage.reading import FormatError
from tinygpt.tokenizer import Tokenizer, TokenizerError

AS_THEY_ARE: dict[str, Callable[[np.ndarray], Packed]] = {}  # kind -> its rows, packed
FILE_TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q8_0": 7}  # general.file_type
ALWAYS_FLOAT = ("_norm.weight", "position_embd.weight")


@dataclass(frozen=True)
class Opened:
    """What is in a file.

    keys: as they stand.  notes: what was not held as it lies in the file, and what that costs.
    """

    model: LanguageModel
    tokenizer: Tokenizer
    keys: Mapping[str, Any]
    notes: tuple[str, ...]


def open_model(path: str | Path, whole: bool = False) -> Opened:
    """The model and the tokenizer of a file.

    whole: every weight as float32.
    Raises ExchangeError for a file that is damaged, or a model that nothing here computes.
    """
    try:
        file = open_gguf(path)
        architecture, shape = read_shape(file.keys, file.tensors)
        tokenizer = read_tokenizer(file.keys)
        if tokenizer.vocab_size != shape.vocab_size:
            raise ExchangeError(
                f"its tokenizer has {tokenizer.vocab_size:,} ids, its embedding "
                f"{shape.vocab_size:,} rows. Convert the model again."
            )
        model = build(shape, None)
        filling = _Filling(file, model, whole)
        for ours, parts in layout(shape, architecture):
            filling.fill(ours, parts)
    except (FormatError, ExchangeError, TokenizerError) as error:
        sentence = str(error) if str(error).endswith(".") else f"it {error}. Download it again."
        raise ExchangeError(f"{shown(path)} cannot be opened: {sentence}") from error
    model.eval()
    return Opened(model, tokenizer, file.keys, filling.notes())


class _Filling:
    """Puts the tensors of a file into a model of zeros."""

    def __init__(self, file: GGUF, model: LanguageModel, whole: bool):
        self.file, self.whole = file, whole
        self.floats = model.state_dict()
        self.modules: dict[str, Any] = dict(model.named_modules())
        self.widened: dict[str, list[tuple[int, int]]] = defaultdict(list)  # bytes there and here

    def fill(self, ours: str, parts: tuple[Part, ...]) -> None:
        """Read the tensors of one of ours.  Raises ExchangeError for values that are no numbers."""
        kinds = {self.file.tensors[part.name].kind for part in parts}
        kind = kinds.pop() if len(kinds) == 1 else ""
        name, _, attribute = ours.rpartition(".")
        matrix = attribute == "weight" and isinstance(
            self.modules[name], nn.Linear | nn.Embedding
        )
        if matrix and kind in AS_THEY_ARE and not self.whole:
            rows = [_turned(self.file.blocks(part.name), part) for part in parts]
            self._install(name, AS_THEY_ARE[kind](np.concatenate(rows)))
        else:
            self._copy(self.floats[ours], parts)
        self.file.forget()

    def _copy(self, into: np.ndarray, parts: tuple[Part, ...]) -> None:
        at = 0
        for part in parts:
            values = self.file.read(part.name)
            if not np.isfinite(values).all():
                raise ExchangeError(
                    f"its tensor {part.name} holds nan or infinity. Download the file again."
                )
            into[at : at + len(values)] = _turned(values, part)
            at += len(values)
            entry = self.file.tensors[part.name]
            if entry.kind != "F32":
                self.widened[entry.kind].append((entry.size or 0, values.nbytes))

    def _install(self, name: str, packed: Packed) -> None:
        before = self.modules[name]
        after: nn.Module
        if isinstance(before, nn.Linear):
            after = QuantizedLinear(packed, before.bias, before.activation)
        else:
            after = QuantizedEmbedding(packed)
        parent, _, attribute = name.rpartition(".")
        setattr(self.modules[parent], attribute, after)

    def notes(self) -> tuple[str, ...]:
        """One sentence for each kind that became float32."""
        sums = {kind: np.sum(each, axis=0) / 1e6 for kind, each in self.widened.items()}
        return tuple(
            f"{len(self.widened[kind])} tensors of {kind} are held as float32: {here:.1f} MB for "
            f"{there:.1f}." for kind, (there, here) in sums.items()
        )


def _turned(rows: np.ndarray, part: Part) -> np.ndarray:
    """Rows of theirs in our order."""
    return rows[half_apart(len(rows), part.heads)] if part.heads else rows


# --- writing ------------------------------------------------------------------------------------


def write_gguf(
    path: str | Path,
    model: LanguageModel,
    tokenizer: Tokenizer,
    kind: str = "F32",
    form: ChatForm | None = None,
    name: str = "",
) -> list[str]:
    """Write a model that llama.cpp opens.

    kind: of the matrices, one of gguf_blocks.WRITTEN; norms, biases and positions are F32, and
        matrices whose rows do not fill blocks are F16.
    form: how it is spoken to, if it came from elsewhere.  name: general.name.
    Returns sentences on what will differ there.
    Raises ExchangeError for a shape or a tokenizer that fits nowhere, and what cannot be written.
    """
    if kind not in gguf_blocks.WRITTEN:
        raise ExchangeError(
            f"{kind!r} is not written. Choose one of {', '.join(gguf_blocks.WRITTEN)}."
        )
    shape = model.shape
    architecture = architecture_of(shape)
    keys = {
        **write_keys(shape, architecture), "general.name": name or Path(path).stem,
        "general.file_type": Unsigned(FILE_TYPES[kind]),
        "general.quantization_version": Unsigned(2),
        **write_tokenizer(tokenizer, shape.vocab_size, form),
    }
    source = _Source(model)
    tensors = {}
    short = 0
    for ours, parts in layout(shape, architecture):
        at = 0
        for part in parts:
            chosen = _kind_of(part, kind)
            short += len(part.shape) == 2 and chosen == "F16" and kind != "F16"
            tensors[part.name] = (chosen, part.shape, source.of(ours, at, part))
            at += part.shape[0]
    try:
        with replacing(Path(path)) as file:
            write(file, keys, tensors)
    except OSError as error:
        raise ExchangeError(
            f"cannot write {shown(path)}: {error.strerror or error}. Choose another place or make "
            "room."
        ) from error
    except ValueError as error:
        raise ExchangeError(f"the model cannot be written: {error}") from error
    notes = [difference(tokenizer)] if difference(tokenizer) else []
    if short:
        notes.append(f"{short} matrices have rows that do not fill blocks of {kind}: they are F16.")
    return notes


def _kind_of(part: Part, kind: str) -> str:
    if len(part.shape) == 1 or part.name.endswith(ALWAYS_FLOAT):
        return "F32"
    return kind if part.shape[1] % gguf_blocks.KINDS[kind].weights == 0 else "F16"


class _Source:
    """Weights of a model as floats, quantized ones dequantized one at a time."""

    def __init__(self, model: LanguageModel):
        self.floats = model.state_dict()
        self.modules: dict[str, Any] = dict(model.named_modules())

    def of(self, ours: str, at: int, part: Part) -> Callable[[], np.ndarray]:
        """What gives the rows from `at` of one of ours, in the order of theirs."""
        def values() -> np.ndarray:
            array = self.floats.get(ours)
            if array is None:
                array = self.modules[ours.rpartition(".")[0]].dequantized()
            rows = array[at : at + part.shape[0]]
            return rows[neighbours(len(rows), part.heads)] if part.heads else rows

        return values
