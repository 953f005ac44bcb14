"""One token through a whole network, without a graph.  What it means: kernels/numpy_ref/decode.py.

Not differentiable: generation needs no gradients. tinygpt/inference/decoder.py builds the Network.
"""

from __future__ import annotations

import numpy as np

from kernels import active
from kernels.numpy_ref.decode import LayerWeights, Matrix, Network
from kernels.packing import Packed

__all__ = ["LayerWeights", "Matrix", "Network", "Packed", "decode_step"]


def decode_step(
    ids: np.ndarray, network: Network, keys: np.ndarray, values: np.ndarray, positions: np.ndarray
) -> np.ndarray:
    """Logits (B, V) after one more token for each of B sequences, each at its own position.

    ids, positions: (B,) int; keys, values: (L, B, places, Hkv, D) float32, written to.
    """
    return active.decode_step(ids, network, keys, values, positions)
