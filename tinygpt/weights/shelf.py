"""The models that lie around: in the current folder, and in one of the user's own.

A model of the user's folder (TINYGPT_MODELS, or ~/.tinygpt/models) is known everywhere by its name:
`tinygpt chat SmolLM2` finds ~/.tinygpt/models/SmolLM2.gguf. A file or folder of that name here
comes first.

Read next: open.py.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinygpt.config import find_objective
from tinygpt.errors import UserError
from tinygpt.exchange import gguf, huggingface_folder, peft
from tinygpt.exchange.gguf_architectures import read_shape
from tinygpt.exchange.huggingface import read_config
from tinygpt.model import ModelShape
from tinygpt.runs.run import Run
from tinygpt.storage import safetensors
from tinygpt.storage.paths import PathError, expand, kind, shown
from tinygpt.storage.reading import ANYTHING, FormatError, read_json
from tinygpt.text.files import is_run
from tinygpt.weights.open import method_of
from tinygpt.weights.quantized import described, quantized_objective

SUFFIXES = (".gguf", ".tgpt")


def user_folder() -> Path:
    """Where the user's models lie; it need not exist."""
    return Path(expand(os.environ.get("TINYGPT_MODELS") or "~/.tinygpt/models"))


def named(name: str) -> str:
    """The path of what is here by that name, else of the user's model; the name if neither is."""
    if kind(name) or os.path.basename(name) != name:
        return name
    for suffix in ("", *SUFFIXES):
        path = user_folder() / f"{name}{suffix}"
        if kind(path):
            return str(path)
    return name


@dataclass(frozen=True)
class Model:
    """A model that lies around.

    size: bytes on the disk.  held: how its matrices are kept.  source: what made the file.
    wrong: why it cannot be opened, "" if it seems that it can.
    """

    path: Path
    source: str
    size: int = 0
    family: str = ""
    held: str = ""
    context: int = 0
    wrong: str = ""


def models(folder: Path) -> list[Model]:
    """What is in a folder, by name; what is no model is left out."""
    if kind(folder) != "folder":
        return []
    found = []
    for path in sorted(folder.iterdir()):
        try:
            model = look(path)
        except (PathError, PermissionError):  # a link that leads nowhere, a folder that is barred
            continue
        if model is not None:
            found.append(model)
    return found


def look(path: Path) -> Model | None:
    """What a path is, as far as can be told without its weights; None for no model."""
    there = kind(path)
    looks: dict[str, Callable[[Path], bool]] = {}
    if there == "file":
        looks = {"GGUF": gguf.looks_like, "tinygpt": _is_quantized}
    elif there == "folder":
        looks = {"PEFT": peft.looks_like, "run": is_run,
                 "Hugging Face": huggingface_folder.looks_like}
    source = next((name for name, holds in looks.items() if holds(path)), None)
    if source is None:
        return None
    size = path.stat().st_size if there == "file" else sum(_sizes(path))
    try:
        if source == "PEFT":
            what, base = peft.look(path)
            return Model(path, source, size, f"adapter of {base}" if base else "adapter", what)
        shape, held = {
            "GGUF": _gguf, "tinygpt": _quantized, "run": _run, "Hugging Face": _hugging_face,
        }[source](path)
    except (UserError, FormatError) as error:
        return Model(path, source, size, wrong=str(error))
    return Model(path, source, size, shape.family, held, shape.context)


def _is_quantized(path: Path) -> bool:
    return path.suffix == ".tgpt"


def _sizes(folder: Path) -> Iterator[int]:
    return (file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _gguf(path: Path) -> tuple[ModelShape, str]:
    file = gguf.open_gguf(path)
    _, shape = read_shape(file.keys, file.tensors)
    kinds = Counter(entry.kind for entry in file.tensors.values() if len(entry.shape) > 1)
    return shape, kinds.most_common(1)[0][0]


def _quantized(path: Path) -> tuple[ModelShape, str]:
    _check_writes(quantized_objective(path))
    shape, schemes = described(path)
    return shape, ", ".join(sorted(schemes))


def _run(path: Path) -> tuple[ModelShape, str]:
    run = Run.open(path)
    config = run.config
    _check_writes(config.objective)
    method = method_of(run).name
    beside = "" if method == "full" else f"{method} beside {shown(Path(config.base).name)}"
    return config.model, beside or "float32"


def _check_writes(objective: str) -> None:
    if not find_objective(objective).Config.language_model:
        raise UserError(f"it learned by {objective}, and writes no text.")


def _hugging_face(path: Path) -> tuple[ModelShape, str]:
    _, shape = read_config(read_json(path / "config.json", {str: ANYTHING}))
    entries = [
        entry for file in path.glob("*.safetensors")
        for entry in safetensors.open_tensors(file).entries.values()
    ]
    kinds = Counter(entry["dtype"] for entry in entries)
    return shape, kinds.most_common(1)[0][0] if kinds else ""


def remove(model: Model) -> None:
    """Delete a model from the disk.  Raises UserError where that is not allowed."""
    try:
        if model.path.is_dir() and not model.path.is_symlink():
            shutil.rmtree(model.path)
        else:
            model.path.unlink()
    except OSError as error:
        raise UserError(
            f"cannot remove {shown(model.path)}: {error.strerror or error}. Check who may write "
            "there."
        ) from error


def details(model: Model) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
    """(every key with its value, every tensor with its type and shape) of a model, as texts.

    Raises UserError where it cannot be read.
    """
    try:
        if model.source == "GGUF":
            file = gguf.open_gguf(model.path)
            return {name: _shown(value) for name, value in file.keys.items()}, {
                name: (entry.kind, str(entry.shape)) for name, entry in file.tensors.items()
            }
        config, files = _files(model)
        arrays = {name: entry for path in files for name, entry in
                  safetensors.open_tensors(path).entries.items()}
    except FormatError as error:
        raise UserError(f"{shown(model.path)} {error}. Copy it again.") from error
    return {name: _shown(value) for name, value in config.items()}, {
        name: (entry["dtype"], str(tuple(entry["shape"]))) for name, entry in arrays.items()
    }


def _files(model: Model) -> tuple[dict[str, object], list[Path]]:
    """The configuration of what is no GGUF, and its files of arrays."""
    if model.source == "tinygpt":
        texts = safetensors.open_tensors(model.path).metadata
        return {**texts, "config": texts.get("config", "")}, [model.path]
    name = peft.CONFIG if model.source == "PEFT" else "config.json"
    config = read_json(model.path / name, {str: ANYTHING})
    if model.source == "run":
        return config, [Run.open(model.path).find("last", lambda text: None).path /
                        "model.safetensors"]
    return config, sorted(model.path.glob("*.safetensors"))


def _shown(value: object) -> str:
    if isinstance(value, str):
        return value if len(value) <= 200 else f"{value[:200]}... ({len(value):,} characters)"
    if isinstance(value, list | np.ndarray) and len(value) > 8:
        return f"{len(value):,} items: {', '.join(map(str, value[:4]))}, ..."
    return json.dumps(value, default=str)
