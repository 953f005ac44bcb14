"""The tables of docs/pytorch.md, read and run: in minigrad, and the same lines in PyTorch.

    python -m tests.minigrad.pytorch_table       writes pytorch_values.json, what PyTorch answers

A row is what people type, an answer (works, refused, differs) and what to write instead.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

PAGE = Path(__file__).parents[2] / "docs" / "pytorch.md"
VALUES = Path(__file__).with_name("pytorch_values.json")
ROW = re.compile(r"\| `(.+?)` \| (works|refused|differs)(?:; write `(.+?)`)?(?:[:;] .*)? \|")
LEAVES = {
    "x": [[0.5, 1.5, 2.5], [3.5, 0.25, 1.25]], "y": [[2.0, 0.5, 1.0], [1.5, 3.0, 0.75]],
    "v": [1.0, 2.0, 3.0], "A": [[2.0, 1.0, 0.0], [0.5, 3.0, 1.0], [0.0, 1.5, 4.0]],
    "b": [[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [[0.5, 1.0], [1.5, 2.0], [2.5, 3.0]]], "s": 2.0,
}


@dataclass(frozen=True)
class Row:
    typed: str
    answer: str
    instead: str | None


def rows() -> list[Row]:
    """Every row of the page's tables."""
    found = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            match = ROW.fullmatch(line)
            assert match, f"a row that cannot be read: {line}"
            typed, answer, instead = match.groups()
            found.append(Row(typed.replace(r"\|", "|"), answer, instead))
    return found


def names(library: str) -> dict[str, Any]:
    """What the rows refer to, fresh: in "minigrad" or in "torch"."""
    if library == "torch":
        import torch
        from torch import nn, optim
        from torch.nn import functional
    else:
        import minigrad as torch
        from minigrad import nn, optim
        from minigrad import ops as functional
    tensors = {k: torch.tensor(data, requires_grad=True) for k, data in LEAVES.items()}
    ids = torch.tensor([2, 0])
    return {"torch": torch, "nn": nn, "F": functional, "optim": optim, "np": np, "i": ids,
            **tensors}


def run(typed: str, library: str) -> dict[str, Any]:
    """What a line gives: its value, x if changed, and the gradients of <1, 2, 3, ...; value>.

    Raises what the line raises.
    """
    scope = names(library)
    body = ast.parse(typed).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), typed, "exec"), scope)
    value = eval(compile(ast.Expression(last.value), typed, "eval"), scope) if last else None
    parts = list(value) if isinstance(value, (tuple, list)) else [value]
    answer: dict[str, Any] = {"value": [plain(part) for part in parts]}
    if scope["x"].tolist() != LEAVES["x"]:
        answer["x"] = scope["x"].tolist()
    graphs = [p for p in parts if is_tensor(p) and p.requires_grad and not p.is_leaf]
    if graphs:
        total = 0
        for part in graphs:
            flat = part.reshape(-1)
            weights = np.arange(1, flat.shape[0] + 1).astype(str(part.dtype).split(".")[-1])
            total = total + (flat * scope["torch"].tensor(weights)).sum()
        total.backward()
        answer["grads"] = {k: scope[k].grad.tolist() for k in LEAVES if scope[k].grad is not None}
    return answer


def is_tensor(value: Any) -> bool:
    return hasattr(value, "requires_grad") and hasattr(value, "detach")


def plain(value: Any) -> Any:
    """Numbers, lists and the kind of dtype, as JSON holds them; other objects by their type."""
    if is_tensor(value):
        value = value.detach().numpy()
    if isinstance(value, (np.ndarray, np.generic)):
        return [str(value.dtype), np.asarray(value).tolist()]
    if isinstance(value, (tuple, list)):
        return [plain(part) for part in value]
    known = value is None or isinstance(value, (bool, int, float, str))
    return value if known else "an object"


def close(a: Any, b: Any) -> bool:
    """Whether two answers agree; numbers to 1e-5."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(close(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(close(p, q) for p, q in zip(a, b, strict=True))
    if isinstance(a, float) or isinstance(b, float):
        return bool(np.isclose(a, b, rtol=1e-5, atol=1e-5, equal_nan=True))
    return type(a) is type(b) and a == b


def recorded() -> dict[str, Any]:
    """What PyTorch answered to the rows that work."""
    return json.loads(VALUES.read_text(encoding="utf-8"))


def main() -> None:
    warnings.simplefilter("ignore")  # torch's own
    answers = {row.typed: run(row.typed, "torch") for row in rows() if row.answer == "works"}
    lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in answers.items()]
    VALUES.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
