"""GPT: token ids in, a score for each possible next token out.

    ids (B, T) -> token + position embedding (B, T, C) -> L blocks -> norm -> logits (B, T, V)

Every decoder of the house is this class; what distinguishes them are the settings of shape.py. The
defaults are GPT-2's shape (Radford et al. 2019) without biases: pre-norm blocks, learned positions,
and an output projection that is the token embedding itself (tied: Press and Wolf 2017), so that a
token's row is both what it means and what predicts it.

Read next: block.py.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from minigrad import Tensor, nn, ops, recompute
from tinygpt.model.block import Block, make_norm
from tinygpt.model.cache import KVCache
from tinygpt.model.language_model import LanguageModel
from tinygpt.model.positions import Positions
from tinygpt.model.shape import ModelShape


class GPT(LanguageModel):
    """A decoder-only transformer.

    position_embedding: (context, C) learned, or None where the shape has other positions.
    output: (V, C), or None where the token embedding is the output projection too.
    """

    def __init__(self, shape: ModelShape, rng: np.random.Generator | None):
        """As `build` (build.py)."""
        self.shape = shape
        if rng is None:  # nothing to draw dropout from
            shape = dataclasses.replace(shape, dropout=0.0)
        self.token_embedding = nn.Embedding(shape.vocab_size, shape.d_model, rng=rng)
        self.position_embedding = self._learned_positions(shape, rng)
        self.positions = Positions(shape, causal=True, rng=rng)
        self.dropout = nn.Dropout(shape.dropout, rng=rng)
        self.blocks = nn.ModuleList([Block(shape, rng) for _ in range(shape.blocks)])
        self.norm = make_norm(shape)
        self.output = None
        if not shape.tied:  # a table as well: it neither decays nor is orthogonalised
            self.output = nn.Embedding(shape.vocab_size, shape.d_model, rng=rng)

    def _learned_positions(
        self, shape: ModelShape, rng: np.random.Generator | None
    ) -> nn.Embedding | None:
        if shape.positions != "learned":
            return None
        table = nn.Embedding(shape.context, shape.d_model, rng=rng)
        if rng is not None:  # drawn at random, each position has to be learned by itself
            table.weight = nn.init.sinusoids((shape.context, shape.d_model))
        return table

    def embed(self, ids: np.ndarray, start: int = 0) -> Tensor:
        """Token and position vectors, (B, T) ids at positions from `start` on -> (B, T, C)."""
        x, positions = self.token_embedding(ids), np.arange(start, start + ids.shape[1])
        if self.position_embedding is not None:
            x = x + self.position_embedding(positions)  # (T, C), for every row alike
        elif self.shape.positions == "sinusoidal":
            x = x + self.positions.sinusoids[positions]
        return self.dropout(x)

    def hidden(self, ids: np.ndarray, cache: KVCache | None = None) -> Tensor:
        """Embeddings, blocks, norm: (B, T) ids -> (B, T, C); see LanguageModel.hidden."""
        start = cache.length if cache is not None else 0
        end = start + ids.shape[1]
        if end > self.shape.context:
            raise ValueError(
                f"GPT: {end} positions do not fit the context of {self.shape.context} tokens; "
                "feed only the last ones"
            )
        branch, stream = self.embed(ids, start), None
        sight = self.positions.sight(len(ids), start, ids.shape[1])
        if self.shape.norm_place == "post":  # the first half reads what was normed, as all others
            branch, _ = self.norm.add_norm(branch, None)
        for layer, block in enumerate(self.layers()):
            if cache is not None:
                branch, stream = block(branch, stream, cache.layer(layer), sight)
            elif self.recompute:
                branch, stream = self._recomputed(block, branch, stream, sight)
            else:
                branch, stream = block(branch, stream, sight=sight)
        x = branch
        if self.shape.norm_place == "pre":
            x, _ = self.norm.add_norm(branch, stream)
        if cache is not None:
            cache.advance(ids.shape[1])
        return x

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

    def head(self, x: Tensor) -> Tensor:
        logits = (self.output or self.token_embedding).attend(x)
        cap = self.shape.softcap
        return logits if cap is None else ops.tanh(logits / cap) * cap

    def head_weight(self) -> Tensor:
        return (self.output or self.token_embedding).weight

    def make_cache(self, batch: int = 1) -> KVCache:
        return KVCache(self.shape, batch)

    def flops_per_token(self) -> int:
        """6 N + 12 L H D T.

        Source: Chowdhery et al. 2022, appendix B.  N leaves out tables that are read, not
        multiplied, and counts a shared block once for each layer; the causal half of attention is
        counted in full, as is usual.
        """
        shape, (heads, _, size) = self.shape, self.shape.heads
        blocks = sum(block.count_parameters() for block in self.blocks)
        matrices = blocks * shape.n_layers // shape.blocks + shape.vocab_size * shape.d_model
        matrices += self.norm.count_parameters()
        return 6 * matrices + 12 * shape.n_layers * heads * size * shape.context
