"""A GGUF file as a model of ours, and a model of ours as a GGUF file.

    opened = open_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    write_gguf("story.gguf", model, tokenizer, "Q8_0")

Blocks that a kernel of ours multiplies by stay as they are, and only their order in memory changes
(AS_THEY_ARE). Floats become float32, and the other kinds are rounded once more, to Q8_0:
`Opened.notes` says what either costs. `whole=True` makes float32 of everything.

Read first: gguf.py, gguf_architectures.py, gguf_tokenizer.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigrad import nn
from minigrad.nn import QuantizedEmbedding, QuantizedLinear
from minigrad.nn.quantized import Rows, pack_q4_0, pack_q4_1, pack_q8_0, quantize
from minigrad.ops.decode import Packed
from tinygpt.exchange import gguf_blocks
from tinygpt.exchange.errors import ExchangeError
from tinygpt.exchange.gguf import GGUF, open_gguf
from tinygpt.exchange.gguf_architectures import (
    Layout,
    Part,
    architecture_of,
    half_apart,
    layout,
    neighbours,
    read_shape,
    write_keys,
)
from tinygpt.exchange.gguf_tokenizer import difference, read_form, read_tokenizer, write_tokenizer
from tinygpt.exchange.gguf_write import Unsigned, write
from tinygpt.model import LanguageModel, build
from tinygpt.runs.chat_form import ChatForm
from tinygpt.storage.durable import replacing
from tinygpt.storage.paths import shown
from tinygpt.storage.reading import FormatError
from tinygpt.tokenizer import Tokenizer, TokenizerError

FLOATS = ("F32", "F16", "BF16")
AS_THEY_ARE: dict[str, Callable[[Rows], Packed]] = {
    "Q4_0": pack_q4_0, "Q4_1": pack_q4_1, "Q8_0": pack_q8_0,
}
FILE_TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q8_0": 7}  # general.file_type
ALWAYS_FLOAT = ("_norm.weight", "position_embd.weight")


@dataclass(frozen=True)
class Opened:
    """What is in a file.

    notes: what was not held as it lies in the file, and what that costs.
    """

    model: LanguageModel
    tokenizer: Tokenizer
    notes: tuple[str, ...]


def open_model(path: str | Path, whole: bool = False) -> Opened:
    """The model and the tokenizer of a file.

    whole: every weight as float32, which is then what was asked for, and not noted.
    Raises ExchangeError for a file that is damaged, or a model that nothing here computes.
    """
    try:
        file = open_gguf(path)
        architecture, shape = read_shape(file.keys, file.tensors)
        model = build(shape, None)  # takes no memory yet; the heap is not in pieces yet either
        tokenizer = read_tokenizer(file.keys)
        if tokenizer.vocab_size != shape.vocab_size:
            raise ExchangeError(
                f"its tokenizer has {tokenizer.vocab_size:,} ids, its embedding "
                f"{shape.vocab_size:,} rows. Convert the model again."
            )
        file.keys = {}  # the lists of tokens are made into the tokenizer: 8 MB of texts for 49,152
        filling = _Filling(file, model, whole)
        for ours, parts in layout(shape, architecture):
            filling.fill(ours, parts)
    except (FormatError, ExchangeError, TokenizerError) as error:
        raise _cannot(path, error) from error
    model.eval()
    return Opened(model, tokenizer, filling.notes())


def read_form_of(path: str | Path) -> ChatForm:
    """How the model of a file is spoken to.  Raises ExchangeError for a damaged file."""
    try:
        return read_form(open_gguf(path).keys)
    except FormatError as error:
        raise _cannot(path, error) from error


def _cannot(path: str | Path, error: Exception) -> ExchangeError:
    sentence = str(error) if str(error).endswith(".") else f"it {error}. Download it again."
    return ExchangeError(f"{shown(path)} cannot be opened: {sentence}")


class _Filling:
    """Puts the tensors of a file into a model of zeros."""

    def __init__(self, file: GGUF, model: LanguageModel, whole: bool):
        self.file, self.whole = file, whole
        self.floats = model.state_dict()
        self.modules: dict[str, Any] = dict(model.named_modules())
        self.changed: dict[str, list[tuple[int, int, float]]] = defaultdict(list)

    def fill(self, ours: str, parts: tuple[Part, ...]) -> None:
        """Read the tensors of one of ours.  Raises ExchangeError for values that are no numbers."""
        kinds = {self.file.tensors[part.name].kind for part in parts}
        kind = kinds.pop() if len(kinds) == 1 else ""
        name, _, attribute = ours.rpartition(".")
        matrix = attribute == "weight" and isinstance(
            self.modules[name], nn.Linear | nn.Embedding
        )
        if self.whole or not matrix or kind in FLOATS:
            self._copy(self.floats[ours], parts)
            if not self.whole:
                self._count(parts, self.floats[ours].nbytes, 0.0)
        elif kind in AS_THEY_ARE:
            self._install(name, _packed(kind, _Rows(self.file, parts), parts[0].name))
        else:
            self._round(name, parts)

    def _copy(self, into: np.ndarray, parts: tuple[Part, ...]) -> None:
        at = 0
        for part in parts:
            for values in self._values(part):
                if not np.isfinite(values).all():
                    raise ExchangeError(
                        f"its tensor {part.name} holds nan or infinity. Download the file again."
                    )
                into[at : at + len(values)] = values
                at += len(values)

    def _values(self, part: Part) -> Iterator[np.ndarray]:
        """A tensor as float32, in our order, some rows at a time."""
        entry = self.file.tensors[part.name]
        if len(entry.shape) == 1:
            values = self.file.read(part.name)
            yield values[half_apart(len(values), part.heads)] if part.heads else values
            return
        rows, some = _Rows(self.file, (part,)), max(1, gguf_blocks.AT_ONCE // entry.shape[1])
        for at in range(0, rows.shape[0], some):
            yield gguf_blocks.dequantize(rows[at : at + some], entry.kind)

    def _round(self, name: str, parts: tuple[Part, ...]) -> None:
        values = np.empty(self.modules[name].weight.shape, np.float32)
        self._copy(values, parts)
        try:
            packed = quantize(values, "q8_0")
        except ValueError as error:
            raise ExchangeError(f"its tensor {parts[0].name} cannot be held ({error}).") from error
        some = np.arange(0, len(values), max(1, len(values) // 64))  # all would double the time
        off = QuantizedEmbedding(packed)(some).data - values[some]
        exact = np.square(values[some]).mean(dtype=np.float64)
        relative = float(np.square(off).mean(dtype=np.float64) / (exact or 1))
        self._count(parts, packed.nbytes, relative)
        self._install(name, packed)

    def _count(self, parts: tuple[Part, ...], here: int, error: float) -> None:
        """error: mean square, of that of the weights."""
        entries = [self.file.tensors[part.name] for part in parts]
        kind = " and ".join(sorted({entry.kind for entry in entries}))
        self.changed[kind].append((sum(entry.size or 0 for entry in entries), here, error))

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
        """One sentence for each kind that is held in another form."""
        found = []
        for kind, each in self.changed.items():
            there, here, errors = zip(*each, strict=True)
            if kind == "F32":
                continue
            form = "float32" if not any(errors) else (
                f"Q8_0, weights off by {max(errors) ** 0.5:.2%} of their size (root mean square)"
            )
            found.append(
                f"{len(each)} matrices of {kind} are held as {form}: {sum(here) / 1e6:.1f} MB for "
                f"{sum(there) / 1e6:.1f} in the file."
            )
        return tuple(found)


class _Rows:
    """The blocks of tensors one below the other, (N, bytes) uint8 in our order.

    They are read from the file when they are asked for, and the file's pages are given back then:
    beside what is made of it a file takes no memory.
    """

    def __init__(self, file: GGUF, parts: tuple[Part, ...]):
        self.file, self.dtype = file, np.dtype(np.uint8)
        self.parts = [(file.blocks(part.name), part.heads) for part in parts]
        counts = [len(blocks) for blocks, _ in self.parts]
        self.shape: tuple[int, ...] = (sum(counts), self.parts[0][0].shape[1])
        self.starts = np.cumsum([0, *counts[:-1]]).tolist()

    def __getitem__(self, some: slice) -> np.ndarray:
        found = []
        for start, (blocks, heads) in zip(self.starts, self.parts, strict=True):
            here = slice(max(0, some.start - start), max(0, some.stop - start))
            if heads:
                found.append(blocks[half_apart(len(blocks), heads)[here]])
            else:
                found.append(blocks[here])
        rows = np.concatenate(found)
        self.file.forget()
        return rows


def _packed(kind: str, rows: _Rows, name: str) -> Packed:
    try:
        return AS_THEY_ARE[kind](rows)
    except ValueError as error:  # a scale that is no number
        raise ExchangeError(f"its tensor {name} is damaged ({error}).") from error


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
    tensors = _tensors(model, layout(shape, architecture), kind)
    short = sum(chosen == "F16" != kind for chosen, _, _ in tensors.values())
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


def _tensors(
    model: LanguageModel, wanted: Layout, kind: str
) -> dict[str, tuple[str, tuple[int, ...], Callable[[], np.ndarray]]]:
    """Name -> kind, shape, and what gives the values."""
    source, tensors = _Source(model), {}
    for ours, parts in wanted:
        at = 0
        for part in parts:
            tensors[part.name] = (_kind_of(part, kind), part.shape, source.of(ours, at, part))
            at += part.shape[0]
    return tensors


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
