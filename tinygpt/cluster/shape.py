"""A large model by its numbers, and how it is cut over a cluster.

Read next: memory.py.
"""

from __future__ import annotations

from typing import NamedTuple


class Model(NamedTuple):
    """A decoder.  width: C.  inner: of the MLP.  kv_heads: of keys and values, as `heads` if not
    grouped.  gated: an MLP of three matrices (SwiGLU)."""

    layers: int
    width: int
    heads: int
    vocab: int
    context: int
    inner: int = 0
    kv_heads: int = 0
    gated: bool = False
    tied: bool = True

    @property
    def layer(self) -> int:
        """Parameters of a layer's matrices."""
        inner = self.inner or 4 * self.width
        keys = (self.kv_heads or self.heads) / self.heads
        return int(self.width**2 * (2 + 2 * keys) + (3 if self.gated else 2) * self.width * inner)

    @property
    def parameters(self) -> int:
        """All of them, norms and biases left out."""
        return self.layers * self.layer + self.table * (1 if self.tied else 2)

    @property
    def table(self) -> int:
        """Parameters of the embedding."""
        return self.vocab * self.width

    def forward_flops(self) -> float:
        """Of a token through all layers and the head."""
        return self.layers * self.layer_flops() + 2.0 * self.table

    def layer_flops(self) -> float:
        """Of a token forward through a layer; attention is counted as if without a mask."""
        return 2.0 * self.layer + 4.0 * self.context * self.width


class Cut(NamedTuple):
    """How a training is spread: data x tensor x pipeline accelerators.

    micro: sequences of a microbatch.  chunks: of layers that a stage holds, 1 for plain 1F1B.
    zero: 0-3, what is divided among data-parallel ranks (optimizer, then gradients, then weights).
    recompute: forget activations and make them again.  fused: attention never stores its
    probabilities.  sequence: norms and dropout are divided among tensor-parallel ranks too.
    widened: gradients are kept in 32 bits beside those of 16: each microbatch's are widened and
    added to them, and ranks sum 32 bits and then gather weights of 16.
    """

    data: int = 1
    tensor: int = 1
    pipeline: int = 1
    micro: int = 1
    chunks: int = 1
    zero: int = 1
    recompute: bool = False
    fused: bool = True
    sequence: bool = False
    widened: bool = False

    @property
    def gpus(self) -> int:
        """Accelerators that it takes."""
        return self.data * self.tensor * self.pipeline

    def micros(self, batch: int) -> int:
        """Microbatches that a rank makes of its share of `batch` sequences.  Raises ValueError."""
        count, rest = divmod(batch, self.data * self.micro)
        if rest or not count:
            raise ValueError(
                f"a batch of {batch} sequences does not divide into {self.data} ranks' "
                f"microbatches of {self.micro}"
            )
        return count
