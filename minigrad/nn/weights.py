"""Weights in a file: safetensors, which holds arrays and text and can hold nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file


def save(
    state: Mapping[str, np.ndarray], path: str | Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write name -> array (a state_dict) and optional text to `path`."""
    arrays = {name: np.ascontiguousarray(a).reshape(a.shape) for name, a in state.items()}
    save_file(arrays, str(path), metadata=dict(metadata) if metadata else None)


def load(path: str | Path) -> dict[str, np.ndarray]:
    """Read name -> array.  Raises FileNotFoundError, or SafetensorError for another format."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"no weights at {path}")
    with safe_open(str(path), framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}


def load_metadata(path: str | Path) -> dict[str, str]:
    """The text that was saved beside the arrays."""
    with safe_open(str(path), framework="numpy") as file:
        return dict(file.metadata() or {})
