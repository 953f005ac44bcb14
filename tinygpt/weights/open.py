"""Open whatever a user names: the folder of a run, or a quantized file.

Read next: quantized.py.
"""

from __future__ import annotations

from pathlib import Path

from tinygpt.errors import UserError
from tinygpt.model import LanguageModel, build
from tinygpt.runs.run import Run
from tinygpt.storage.paths import PathError, expand, kind, shown
from tinygpt.tokenizer import Tokenizer
from tinygpt.weights.quantized import load_quantized, quantized_objective


def open_model(path: str | Path) -> tuple[LanguageModel, Tokenizer]:
    """(model, tokenizer) of a run folder or a quantized file, ready to generate.

    Raises UserError if it is neither, or damaged.
    """
    path = Path(expand(path))
    there = kind(path)
    if there == "file":
        return load_quantized(path)
    if not there:
        raise PathError(
            f"there is no {shown(path)}. Give the --out folder of a `tinygpt train`, or a file "
            "that `tinygpt quantize` wrote."
        )
    run = Run.open(path)
    return load_model(run), run.tokenizer


def objective_of(path: str | Path) -> str:
    """The name of the objective that a model was trained by.  Errors as `open_model`."""
    path = Path(expand(path))
    return quantized_objective(path) if kind(path) == "file" else Run.open(path).config.objective


def load_model(run: Run, which: str | int = "last") -> LanguageModel:
    """The trained model of a run, dropout off.

    which: "last", "best" (lowest validation loss) or the step of a checkpoint.
    Raises UserError if it has no such checkpoint or trains no language model.
    """
    shape = getattr(run.config, "model", None)
    if shape is None:
        raise UserError(
            f"{run.path} is a run of {run.config.objective}, which makes no language model. Give "
            "one that learned from text."
        )
    model = build(shape, None)
    run.find(which).copy_to(model.state_dict())
    model.eval()
    return model
