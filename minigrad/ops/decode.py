"""One token through a whole network, without a graph.  What it means: kernels/numpy_ref/decode.py.

Not differentiable: generation needs no gradients. tinygpt/inference/decoder.py builds the Network.
"""

from __future__ import annotations

import numpy as np

from kernels import active
from kernels.numpy_ref.decode import NO_TOKEN, Beside, LayerWeights, Matrix, Network
from kernels.numpy_ref.heads import SCALE_BYTES, restore_heads, round_heads
from kernels.packing import Packed

__all__ = [
    "NO_TOKEN", "SCALE_BYTES", "Beside", "LayerWeights", "Matrix", "Network", "Packed",
    "decode_step", "restore_heads", "round_heads",
]


def decode_step(
    ids: np.ndarray,
    network: Network,
    keys: np.ndarray,
    values: np.ndarray,
    positions: np.ndarray,
    slots: np.ndarray | None = None,
    scored: int | None = None,
    before: np.ndarray | None = None,
) -> np.ndarray:
    """Logits (scored, V) after B more tokens, each of its own sequence and at its own position.

    ids, positions, slots: (B,) int; keys, values: (L, S, places, Hkv, D) float32, or (..., D + 4)
    int8 as `round_heads` makes them, written to.
    slots None: S is B.  scored None: all.  before: (B,) int, the token before each in its text,
    NO_TOKEN for none: asked for by a network that looks back.
    """
    return active.decode_step(ids, network, keys, values, positions, slots, scored, before)
