"""What every assembly of blocks has: tokens and positions become vectors, blocks change them.

    ids (B, T) -> token + position embedding (B, T, E) -> (B, T, C) -> L blocks -> norm

A Stack is what stands between token vectors and the last norm. A Transformer is one with a table
of tokens: GPT (a decoder) and Encoder are that with a head of their own; an encoder-decoder has one
table for two stacks. E is C unless model.embedding_size says otherwise (ALBERT's factorised table:
Lan et al. 2020).

Read next: block.py, gpt.py, encoder.py, encoder_decoder.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad import Tensor, nn, ops, recompute
from tinygpt.model.block import Block, make_norm, weight_scales
from tinygpt.model.cache import KVCache
from tinygpt.model.language_model import LanguageModel
from tinygpt.model.positions import Positions
from tinygpt.model.shape import ModelShape

MakeBlock = Callable[[ModelShape, np.random.Generator | None], Block]
Memory = tuple[Tensor, Tensor]  # keys and values (B, S, Hkv, D) that a layer reads of a source


class Stack(nn.Module):
    """Positions, blocks and what stands between them.

    position_embedding: (context, E) learned, or None where the shape has other positions.
    lift: E -> C, None where they are one.
    norm: pre-norm's last one, over C; post-norm's first, over the embeddings.
    """

    def __init__(
        self,
        shape: ModelShape,
        rng: np.random.Generator | None,
        causal: bool,
        make_block: MakeBlock = Block,
    ):
        """As `build` (build.py).  causal: positions see those before them only, as the blocks of
        `make_block` do."""
        self.shape = shape
        if rng is None:  # nothing to draw dropout from
            shape = dataclasses.replace(shape, dropout=0.0)
        width = shape.embedding
        self.position_embedding = self._learned_positions(shape, rng)
        self.positions = Positions(shape, causal=causal, rng=rng)
        self.dropout = nn.Dropout(shape.dropout, rng=rng)
        self.blocks = nn.ModuleList([make_block(shape, rng) for _ in range(shape.blocks)])
        self.norm = make_norm(shape, width if shape.norm_place == "post" else shape.d_model)
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

    def placed(self, x: Tensor, positions: np.ndarray) -> Tensor:
        """Token vectors (B, T, E) and those of their positions, (T,) for every row alike or
        (B, T)."""
        if self.position_embedding is not None:
            x = x + self.position_embedding(positions)
        elif self.positions.sinusoids is not None:
            x = x + self.positions.sinusoids[positions]
        return self.dropout(x)

    def through(
        self,
        x: Tensor,
        positions: np.ndarray,
        sight: nn.Sight,
        cache: KVCache | None = None,
        memory: Sequence[Memory] | None = None,
        recomputed: bool = False,
    ) -> Tensor:
        """Positions, blocks, norm: token vectors (B, T, E) -> (B, T, C).

        positions: as of `placed`.  memory: of a source, what each layer reads (CrossBlock).
        recomputed: keep what goes into each block alone (LanguageModel.recompute).
        """
        if cache is not None:
            cache.reserve(x.shape[1])
        branch, stream = self.placed(x, positions), None
        if self.shape.norm_place == "post":  # the first half reads what was normed, as all others
            branch, _ = self.norm.add_norm(branch, None)
        if self.lift is not None:
            branch = self.lift(branch)
        for layer, block in enumerate(self.layers()):
            read = () if memory is None else memory[layer]
            if cache is not None:
                branch, stream = block(branch, stream, cache.layer(layer), sight, *read)
            elif recomputed:
                branch, stream = self._recomputed(block, branch, stream, sight, read)
            else:
                branch, stream = block(branch, stream, None, sight, *read)
        if self.shape.norm_place == "post":
            return branch
        return self.norm.add_norm(branch, stream)[0]

    def layers(self) -> list[Block]:
        """The block of each layer; groups of layers may share one (Lan et al. 2020)."""
        blocks, layers = list(self.blocks), self.shape.n_layers
        return [blocks[layer * len(blocks) // layers] for layer in range(layers)]

    def _recomputed(
        self, block: Any, branch: Tensor, stream: Tensor | None, sight: nn.Sight,
        read: Sequence[Tensor],
    ) -> Any:
        """A learned bias and what is read are inputs as well: their gradients leave that way."""
        bias = (sight.bias,) if isinstance(sight.bias, Tensor) else ()

        def run(branch: Tensor, stream: Tensor | None, *others: Tensor) -> Any:
            seen = dataclasses.replace(sight, bias=others[-1]) if bias else sight
            return block(branch, stream, None, seen, *others[: len(read)])

        return recompute(run, branch, stream, *read, *bias)


class Transformer(Stack, LanguageModel):
    """A stack with a table of tokens below it.

    output: (V, E), or None where the token embedding is the output projection too.
    """

    def __init__(
        self,
        shape: ModelShape,
        rng: np.random.Generator | None,
        causal: bool,
        make_block: MakeBlock = Block,
    ):
        """As Stack's."""
        self.token_embedding = nn.Embedding(shape.vocab_size, shape.embedding, rng=rng)
        super().__init__(shape, rng, causal, make_block)
        self.output = None
        if not shape.tied:  # a table as well: it neither decays nor is orthogonalised
            self.output = nn.Embedding(shape.vocab_size, shape.embedding, rng=rng)

    def embed(self, ids: np.ndarray, positions: np.ndarray) -> Tensor:
        """Token and position vectors: (B, T) ids -> (B, T, E).  positions: as of `placed`."""
        return self.placed(self.token_embedding(ids), positions)

    def head_weight(self) -> Tensor:
        return (self.output or self.token_embedding).weight

    def scores(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """What the output projection makes of (..., E), plus (V,), and capped: (..., V)."""
        logits = (self.output or self.token_embedding).attend(x)
        logits = logits if bias is None else logits + bias
        cap = self.shape.softcap
        return logits if cap is None else ops.tanh(logits / cap) * cap
