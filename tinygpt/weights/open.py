"""Open whatever a user names: the folder of a run, or a quantized file.

Read next: generate.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinygpt.errors import UserError
from tinygpt.model import GPT


def open_model(path: str | Path) -> tuple[GPT, Any]:
    """(model, tokenizer) of a run folder or a quantized file, ready to generate.

    Raises UserError if it is neither, or damaged.
    """
    path = Path(path)
    if path.is_file():
        from tinygpt.weights.quantized import load_quantized

        return load_quantized(path)
    if not path.exists():
        raise UserError(
            f"there is no {path}. Give the --out folder of a `tinygpt train`, or a file that "
            "`tinygpt quantize` wrote."
        )
    from tinygpt.runs.run import Run

    run = Run.open(path)
    return run.load_model(), run.tokenizer
