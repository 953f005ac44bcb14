"""What every assembly of blocks has: tokens and positions become vectors, blocks change them.

    ids (B, T) -> token + position embedding (B, T, E) -> (B, T, C) -> L blocks -> norm

GPT (a decoder) and Encoder are this with a head of their own. E is C unless model.embedding_size
says otherwise (ALBERT's factorised table: Lan et al. 2020).

Read next: block.py, gpt.py, encoder.py.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from minigrad import Tensor, nn, ops, recompute
from tinygpt.model.block import Block, make_norm, weight_scales
from tinygpt.model.cache import KVCache
from tinygpt.model.language_model import LanguageModel
from tinygpt.model.positions import Positions
from tinygpt.model.shape import ModelShape


class Transformer(LanguageModel):
    """Embeddings, blocks and what stands between them.

    position_embedding: (context, E) learned, or None where the shape has other positions.
    lift: E -> C, None where they are one.
    norm: pre-norm's last one, over C; post-norm's first, over the embeddings.
    output: (V, E), or None where the token embedding is the output projection too.
    """

    def __init__(self, shape: ModelShape, rng: np.random.Generator | None, causal: bool):
        """As `build` (build.py).  causal: positions see those before them only."""
        self.shape = shape
        if rng is None:  # nothing to draw dropout from
            shape = dataclasses.replace(shape, dropout=0.0)
        width = shape.embedding
        self.token_embedding = nn.Embedding(shape.vocab_size, width, rng=rng)
        self.position_embedding = self._learned_positions(shape, rng)
        self.positions = Positions(shape, causal=causal, rng=rng)
        self.dropout = nn.Dropout(shape.dropout, rng=rng)
        self.blocks = nn.ModuleList([Block(shape, rng, causal) for _ in range(shape.blocks)])
        self.norm = make_norm(shape, width if shape.norm_place == "post" else shape.d_model)
        self.output = None
        if not shape.tied:  # a table as well: it neither decays nor is orthogonalised
            self.output = nn.Embedding(shape.vocab_size, width, rng=rng)
        self.lift = None
        if shape.embedding_size is not None:
            std, _ = weight_scales(shape)
            biased = shape.bias == "all"
            self.lift = nn.Linear(width, shape.d_model, bias=biased, std=std, rng=rng)

    def _learned_positions(
        self, shape: ModelShape, rng: np.random.Generator | None
    ) -> nn.Embedding | None:
        if shape.positions != "learned":
            return None
        table = nn.Embedding(shape.context, shape.embedding, rng=rng)
        if rng is not None:  # drawn at random, each position has to be learned by itself
            table.weight = nn.init.sinusoids((shape.context, shape.embedding))
        return table

    def embed(self, ids: np.ndarray, positions: np.ndarray) -> Tensor:
        """Token and position vectors.

        ids: (B, T); positions: (T,), for every row alike, or (B, T).  Returns (B, T, E).
        """
        x = self.token_embedding(ids)
        if self.position_embedding is not None:
            x = x + self.position_embedding(positions)
        elif self.shape.positions == "sinusoidal":
            x = x + self.positions.sinusoids[positions]
        return self.dropout(x)

    def through(
        self, ids: np.ndarray, positions: np.ndarray, sight: nn.Sight, cache: KVCache | None = None
    ) -> Tensor:
        """Embeddings, blocks, norm: (B, T) ids -> (B, T, C).  positions: as embed's."""
        branch, stream = self.embed(ids, positions), None
        if self.shape.norm_place == "post":  # the first half reads what was normed, as all others
            branch, _ = self.norm.add_norm(branch, None)
        if self.lift is not None:
            branch = self.lift(branch)
        for layer, block in enumerate(self.layers()):
            if cache is not None:
                branch, stream = block(branch, stream, cache.layer(layer), sight)
            elif self.recompute:
                branch, stream = self._recomputed(block, branch, stream, sight)
            else:
                branch, stream = block(branch, stream, sight=sight)
        if self.shape.norm_place == "post":
            return branch
        return self.norm.add_norm(branch, stream)[0]

    def layers(self) -> list[Block]:
        """The block of each layer; groups of layers may share one (Lan et al. 2020)."""
        blocks, layers = list(self.blocks), self.shape.n_layers
        return [blocks[layer * len(blocks) // layers] for layer in range(layers)]

    def _recomputed(
        self, block: Any, branch: Tensor, stream: Tensor | None, sight: nn.Sight
    ) -> tuple[Tensor, Tensor]:
        """A learned bias is an input as well: its gradient leaves the block by that way."""
        bias = sight.bias if isinstance(sight.bias, Tensor) else None

        def run(branch: Tensor, stream: Tensor | None, bias: Tensor | None = None) -> Any:
            seen = sight if bias is None else dataclasses.replace(sight, bias=bias)
            return block(branch, stream, sight=seen)

        return recompute(run, branch, stream, *(() if bias is None else (bias,)))

    def head_weight(self) -> Tensor:
        return (self.output or self.token_embedding).weight

    def scores(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """What the output projection makes of (..., E), plus (V,), and capped: (..., V)."""
        logits = (self.output or self.token_embedding).attend(x)
        logits = logits if bias is None else logits + bias
        cap = self.shape.softcap
        return logits if cap is None else ops.tanh(logits / cap) * cap

    def flops_per_token(self) -> int:
        """6 N + 12 L H D T.

        Source: Chowdhery et al. 2022, appendix B.  N leaves out tables that are read, not
        multiplied, and counts a shared block once for each layer; the causal half of attention is
        counted in full, as is usual.
        """
        shape, (heads, _, size) = self.shape, self.shape.heads
        blocks = sum(block.count_parameters() for block in self.blocks)
        matrices = blocks * shape.n_layers // shape.blocks + shape.vocab_size * shape.embedding
        matrices += self.norm.count_parameters()
        matrices += self.lift.count_parameters() if self.lift is not None else 0
        return 6 * matrices + 12 * shape.n_layers * heads * size * shape.context
