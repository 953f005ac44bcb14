"""One layer of the transformer: attention mixes positions, then an MLP works on each alone.

Pre-norm (Xiong et al. 2020): each half reads a normalised copy of the residual stream and adds to
the stream what it found,

    stream = stream + attention(norm1(stream))
    stream = stream + mlp(norm2(stream))

Post-norm (Vaswani et al. 2017): each half reads the stream and the sum is normalised,

    stream = norm1(stream + attention(stream))
    stream = norm2(stream + mlp(stream))

The add and the norm after it pass over the same numbers, so they are one op: a half returns what
it found (the branch) and the next norm adds it to the stream on its way.

Read next: positions.py, minigrad/nn/attention.py, minigrad/nn/mlp.py.
"""

from __future__ import annotations

import numpy as np

from minigrad import Tensor, nn
from tinygpt.model.cache import LayerCache
from tinygpt.model.shape import ModelShape


def make_norm(shape: ModelShape, width: int | None = None) -> nn.LayerNorm | nn.RMSNorm:
    """The normalisation that the shape names, over `width` channels, None for C."""
    width = width or shape.d_model
    if shape.norm == "rmsnorm":
        return nn.RMSNorm(width, eps=shape.eps)
    return nn.LayerNorm(width, bias=shape.bias == "all", eps=shape.eps)


def weight_scales(shape: ModelShape) -> tuple[float, float]:
    """Standard deviations of initial weights: of a block's first projections, and of those that add
    to the stream.

    GPT-2's 0.02 is for C = 768. A product with C inputs has variance C std^2, so std grows as the
    width shrinks: S ends at 1.79 so, at 1.91 with 0.02 (bench/LOG.md). Each of the 2 L branches
    adds to the stream: scaled down, their sum starts at unit size (Radford et al. 2019); at 0, the
    model starts as its embeddings and its head (Zhang et al. 2019).
    """
    std = 0.02 * (768 / shape.d_model) ** 0.5
    return std, 0.0 if shape.zero_init else std / (2 * shape.n_layers) ** 0.5


class Block(nn.Module):
    """norm1, attention, norm2, mlp.  causal: False for an encoder's."""

    def __init__(self, shape: ModelShape, rng: np.random.Generator | None, causal: bool = True):
        std, residual_std = weight_scales(shape)
        self.post = shape.norm_place == "post"
        self.norm1 = make_norm(shape)
        self.attention = nn.SelfAttention(
            shape.d_model, *shape.heads, causal=causal, bias=shape.bias != "none",
            proj_bias=shape.bias == "all", qk_norm=shape.eps if shape.qk_norm else None,
            dropout=shape.dropout, std=std, residual_std=residual_std, rng=rng,
        )
        self.norm2 = make_norm(shape)
        self.mlp = nn.MLP(
            shape.d_model, shape.hidden, activation=shape.activation, bias=shape.bias == "all",
            dropout=shape.dropout, std=std, residual_std=residual_std, rng=rng,
        )

    def forward(
        self,
        branch: Tensor,
        stream: Tensor | None,
        cache: LayerCache | None = None,
        sight: nn.Sight = nn.EVERYTHING,
    ) -> tuple[Tensor, Tensor]:
        """branch, stream: (B, T, C), stream None before the first layer.  Returns the next two;
        post-norm has no use for the stream."""
        if self.post:
            x, _ = self.norm1.add_norm(self.attention(branch, cache, sight), branch)
            x, stream = self.norm2.add_norm(self.mlp(x), x)
            return x, stream
        x, stream = self.norm1.add_norm(branch, stream)
        x, stream = self.norm2.add_norm(self.attention(x, cache, sight), stream)
        return self.mlp(x), stream
