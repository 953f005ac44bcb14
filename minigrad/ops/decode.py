"""One token through a whole network, without a graph.  What it means: kernels/numpy_ref/decode.py.

Not differentiable: generation needs no gradients. tinygpt/inference/decoder.py builds the Network.
"""

from kernels import active
from kernels.numpy_ref.decode import LayerWeights, Matrix, Network
from kernels.packing import Packed

__all__ = ["LayerWeights", "Matrix", "Network", "Packed", "decode_step"]


def decode_step(ids, network: Network, keys, values, position: int):
    """Logits (B, V) after one more token for each of B sequences; the cache gains a position.

    ids: (B,) int; keys, values: (L, B, context, H, D) float32.
    """
    return active.decode_step(ids, network, keys, values, position)
