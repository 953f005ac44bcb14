"""Open whatever a user names: a run's folder, a quantized file, a GGUF file, a Hugging Face folder.

Other programs' formats (../exchange) are imported where there is one: they take longer to import
than a model of our own takes to open.

Read next: quantized.py.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from minigrad import nn
from tinygpt.adapters import MethodConfig, load_adapter, merge, settle
from tinygpt.errors import UserError
from tinygpt.model import LanguageModel, ModelShape, build
from tinygpt.runs import history
from tinygpt.runs.chat_form import ChatForm, chat_form
from tinygpt.runs.checkpoint import Checkpoint, CheckpointError, Warn
from tinygpt.runs.run import Run
from tinygpt.storage.paths import PathError, expand, kind, shown
from tinygpt.tokenizer import Tokenizer
from tinygpt.weights.quantized import (
    PRETRAINING,
    as_floats,
    load_quantized,
    quantized_form,
    quantized_objective,
)


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=2)


def open_model(
    path: str | Path, warn: Warn = _warn, whole: bool = False
) -> tuple[LanguageModel, Tokenizer]:
    """(model, tokenizer) of a run, a quantized or GGUF file or a Hugging Face folder, ready to
    generate.

    warn: told of damaged checkpoints that are passed over, and of what a foreign file's weights
        became here.
    whole: weights of a GGUF or quantized file as float32, to be trained or quantized anew, and of
        a run of adapters merged.
    Raises UserError if it is none of them, or damaged.
    """
    path = Path(expand(path))
    there = kind(path)
    if there == "file" and is_foreign(path):
        from tinygpt.exchange import gguf_models

        opened = gguf_models.open_model(path, whole)
        for note in opened.notes:
            warn(note)
        return opened.model, opened.tokenizer
    if there == "file":
        model, tokenizer = load_quantized(path)
        if not isinstance(model, LanguageModel):
            raise _no_language_model(f"{path} is a model of {quantized_objective(path)}")
        check_fit(path, model, tokenizer)
        return (as_floats(model) if whole else model), tokenizer
    if not there:
        raise PathError(
            f"there is no {shown(path)}. Give the --out folder of a `tinygpt train`, or a file "
            "that `tinygpt quantize` wrote."
        )
    if not (path / "checkpoints").is_dir():
        _refuse_adapter(path)
    if is_foreign(path):
        from tinygpt.exchange import huggingface_folder

        return huggingface_folder.open_folder(path)
    run = Run.open(path)
    model = load_model(run, warn=warn)
    if method_of(run).name != "full":
        (merge if whole else settle)(model)
    return check_fit(path, model, run.tokenizer)


def _refuse_adapter(path: Path) -> None:
    from tinygpt.exchange import peft

    if peft.looks_like(path):
        raise UserError(
            f"{shown(path)} is an adapter, which stands beside a model. Give the model that it was "
            f"made for: tinygpt generate BASE --adapter {shown(path)}"
        )


def open_base(
    path: str | Path, method: MethodConfig, warn: Warn = _warn
) -> tuple[LanguageModel, Tokenizer]:
    """(model, tokenizer) for a method to be put into: rounded weights stay so for qlora alone.

    Errors as open_model.
    """
    return open_model(path, warn, whole=method.name != "qlora")


def method_of(run: Run) -> MethodConfig:
    """How a run was trained: "full" unless it is one of adapters."""
    found: MethodConfig = getattr(run.config, "method", MethodConfig(name="full"))
    return found


def check_adapter(run: Run) -> str:
    """The method of a run that has a base.  Raises UserError for a whole model's."""
    method = method_of(run).name
    if method == "full":
        raise UserError(
            f"{shown(run.path)} has no adapter: it is one model already. Use it as it is."
        )
    return method


def digest(model: LanguageModel) -> str:
    """A hash of all of a model's values: an adapter is of one base and no other."""
    found = hashlib.blake2b(digest_size=16)
    for name, array in model.state_dict().items():
        found.update(name.encode() + np.ascontiguousarray(array).data)
    for name, module in model.named_modules():
        if isinstance(module, nn.QuantizedLinear | nn.QuantizedEmbedding):
            found.update(name.encode() + np.ascontiguousarray(module.packed.codes).data)
            found.update(np.ascontiguousarray(module.packed.scale).data)
    return found.hexdigest()


def is_foreign(path: str | Path) -> bool:
    """Whether another program made it: a GGUF file or a Hugging Face folder."""
    path = Path(expand(path))
    if kind(path) == "file":
        from tinygpt.exchange import gguf

        return gguf.looks_like(path)
    if kind(path) != "folder" or (path / "checkpoints").is_dir():
        return False
    from tinygpt.exchange import huggingface_folder

    return huggingface_folder.looks_like(path)


def form_of(path: str | Path) -> ChatForm | None:
    """How a model is spoken to, None for one of our own.  Errors as `open_model`."""
    path = Path(expand(path))
    if not is_foreign(path):
        return quantized_form(path) if kind(path) == "file" else chat_form(path)
    from tinygpt.exchange import gguf_models, huggingface_folder

    if kind(path) == "file":
        return gguf_models.read_form_of(path)
    return huggingface_folder.read_form(path)


def objective_of(path: str | Path) -> str:
    """The name of the objective that a model was trained by.  Errors as `open_model`."""
    path = Path(expand(path))
    if is_foreign(path):
        return PRETRAINING
    return quantized_objective(path) if kind(path) == "file" else Run.open(path).config.objective


def load_model(run: Run, which: str | int = "last", warn: Warn = _warn) -> LanguageModel:
    """The trained model of a run, dropout off.

    which: "last", "best" (lowest validation loss) or the step of a checkpoint.
    warn: told of damaged ones that are passed over.
    Raises UserError if it has no such checkpoint or trains no language model.
    """
    _shape(run)  # before a checkpoint is looked for
    return model_of(run, run.find(which, warn))


def model_of(run: Run, saved: Checkpoint) -> LanguageModel:
    """The model in a checkpoint of a run, dropout off.  Raises UserError as load_model."""
    shape, method = _shape(run), method_of(run)
    if method.name != "full":
        model, _ = open_base(run.config.base, method)
        saved.check_data({"base": digest(model)})
        return install(run, saved, model)
    heads = {name: np.empty(size, np.float32) for name, size in heads_of(run).items()}
    check_size(saved, shape, sum(head.size for head in heads.values()))
    model = build(shape, None)
    saved.copy_to({**model.state_dict(), **heads})
    model.eval()
    return model


def heads_of(run: Run) -> Mapping[str, tuple[int, ...]]:
    """Name -> shape of what stands on a run's model for its training alone, as a critic."""
    found: Mapping[str, tuple[int, ...]] = getattr(run.config, "heads", {})
    return found


def kept_model(run: Run, step: int) -> LanguageModel:
    """The model as its history keeps it (runs/history.py), dropout off.

    Raises UserError as load_model.
    """
    shape, method = _shape(run), method_of(run)
    arrays = _without(history.weights(run.path, step), heads_of(run))
    if method.name != "full":
        model, _ = open_base(run.config.base, method)
        load_adapter(model, method, arrays)
        return model.eval()
    model = build(shape, None)
    try:
        nn.copy_arrays(model.state_dict(), arrays, "model")
    except (ValueError, TypeError) as error:
        raise CheckpointError(
            f"step {step} of {shown(run.path)} does not fit: {error}. Look at another."
        ) from error
    return model.eval()


def install(run: Run, saved: Checkpoint, model: LanguageModel) -> LanguageModel:
    """Put what a checkpoint of an adapter's run holds into its base, in place.

    Raises UserError for arrays that do not fit.
    """
    load_adapter(model, method_of(run), _without(saved.tensors("model"), heads_of(run)))
    return model.eval()


def _without(
    arrays: Mapping[str, np.ndarray], names: Collection[str]
) -> Mapping[str, np.ndarray]:
    return {name: array for name, array in arrays.items() if name not in names}


def _shape(run: Run) -> ModelShape:
    shape = getattr(run.config, "model", None)
    if shape is None or not run.config.language_model:
        raise _no_language_model(f"{run.path} is a run of {run.config.objective}")
    return shape


def _no_language_model(what: str) -> UserError:
    return UserError(f"{what}, which makes no language model. Give one that learned from text.")


def check_size(saved: Checkpoint, shape: ModelShape, beside: int = 0) -> None:
    """Raise CheckpointError if a checkpoint's weights are not as many as a shape has.

    Only its header is read and nothing is built: what a damaged configuration asks for need not fit
    the memory.  beside: values of what stands on the model.
    """
    there, described = saved.parameters(), shape.parameters + beside
    if there != described:
        raise CheckpointError(
            f"{saved.path} holds a model of {there:,} values, config.json describes one of "
            f"{described:,}: d_model = {shape.d_model}, n_layers = {shape.n_layers}, "
            f"context = {shape.context}, vocab_size = {shape.vocab_size}. Use the config.json it "
            "was trained with."
        )


def check_fit(
    path: Path, model: LanguageModel, tokenizer: Tokenizer
) -> tuple[LanguageModel, Tokenizer]:
    """(model, tokenizer) of `path`.  Raises UserError if the tokenizer is another model's."""
    if model.shape.vocab_size != tokenizer.vocab_size:
        raise UserError(
            f"{path}: its tokenizer has {tokenizer.vocab_size} ids, its model "
            f"{model.shape.vocab_size}. Bring back the tokenizer that it was trained with."
        )
    return model, tokenizer
