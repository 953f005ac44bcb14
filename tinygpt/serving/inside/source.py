"""Where a number comes from: the text of the functions that made it.

Only what is listed here is shown; a request names a function and never a file.

Read next: routes.py.
"""

from __future__ import annotations

import inspect
from importlib import import_module

from tinygpt.errors import UserError

SHOWN = frozenset({
    "kernels.numpy_ref.attention:attention_weights",
    "tinygpt.inference.sampling:probabilities",
    "tinygpt.inspection.account:account",
    "tinygpt.inspection.account:frozen_norm",
    "tinygpt.inspection.habits:places",
    "tinygpt.inspection.habits:scores",
    "tinygpt.inspection.lens:lens",
    "tinygpt.inspection.lens:lens_logits",
    "tinygpt.inspection.matrices:look_at",
    "tinygpt.inspection.matrices:matrix_names",
    "tinygpt.inspection.matrices:rounding_error",
    "tinygpt.inspection.surprise:candidates",
    "tinygpt.inspection.surprise:losses",
    "tinygpt.inspection.vectors:nearest",
    "tinygpt.inspection.vectors:principal_map",
    "tinygpt.tokenizer.bpe:merge",
    "tinygpt.tokenizer.inspection:derivations",
})


def source(name: str) -> dict[str, object]:
    """name: "module:function", one of SHOWN.  Returns its file, first line and text.

    Raises UserError for another.
    """
    if name not in SHOWN:
        raise UserError(f"{name[:100]!r} is not among the functions that are shown. Ask for one "
                        'that an answer names under "by".')
    module, _, function = name.partition(":")
    lines, first = inspect.getsourcelines(getattr(import_module(module), function))
    return {"file": module.replace(".", "/") + ".py", "line": first, "text": "".join(lines)}
