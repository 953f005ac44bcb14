"""GPT: token ids in, a score for each possible next token out.

    ids (B, T) -> token + position embedding (B, T, C) -> L blocks -> norm -> logits (B, T, V)

GPT-2's shape (Radford et al. 2019) without biases: pre-norm blocks, learned positions, and an
output projection that is the token embedding itself (tied: Press and Wolf 2017), so a token's row
is both what it means and what predicts it.

Read next: block.py.
"""

from __future__ import annotations

import numpy as np

from minigrad import Tensor, checkpoint, nn, ops
from tinygpt.config import GPTConfig
from tinygpt.model.block import Block, make_norm
from tinygpt.model.cache import KVCache


class GPT(nn.Module):
    """A decoder-only transformer.

    recompute: keep only the stream between blocks while training and compute each block again in
        backward (Chen et al. 2016): the same gradients to the bit. Measured for a training process:
        0.72 of the peak memory in 1.39 of the time on config M, 0.75 in 1.34 on B.
    """

    recompute = False

    def __init__(self, config: GPTConfig, rng: np.random.Generator | None):
        """config: the shape; rng: draws the initial weights and, while training, dropout.

        rng None: zeros, for weights that will be loaded; not with dropout.
        """
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.d_model, rng=rng)
        self.position_embedding = nn.Embedding(config.context, config.d_model, rng=rng)
        if rng is not None:  # drawn at random, each position has to be learned by itself
            self.position_embedding.weight = nn.init.sinusoids((config.context, config.d_model))
        self.dropout = nn.Dropout(config.dropout, rng=rng)
        self.blocks = nn.ModuleList([Block(config, rng) for _ in range(config.n_layers)])
        self.norm = make_norm(config)

    def hidden(self, ids: np.ndarray, cache: KVCache | None = None) -> Tensor:
        """Everything below the output projection.

        ids: (B, T) int; with a cache they continue the positions that it holds.
        Returns (B, T, C).  Raises ValueError for more positions than the context, IndexError for
        an id outside the vocabulary.
        """
        start = cache.length if cache is not None else 0
        end = start + ids.shape[1]
        if end > self.config.context:
            raise ValueError(
                f"GPT: {end} positions do not fit the context of {self.config.context} tokens; "
                "feed only the last ones"
            )
        positions = self.position_embedding(np.arange(start, end))  # (T, C), for every row alike
        branch, stream = self.dropout(self.token_embedding(ids) + positions), None
        for i, block in enumerate(self.blocks):
            if cache is not None:
                branch, stream = block(branch, stream, cache.layers[i])
            elif self.recompute:
                branch, stream = checkpoint(block, branch, stream)
            else:
                branch, stream = block(branch, stream)
        x, _ = self.norm.add(branch, stream)
        return x

    def forward(self, ids: np.ndarray, cache: KVCache | None = None) -> Tensor:
        """Logits (B, T, V): row t scores the token that follows position t."""
        return self.head(self.hidden(ids, cache))

    def head(self, x: Tensor) -> Tensor:
        """The output projection alone: (..., C) -> logits (..., V)."""
        return self.token_embedding.attend(x)

    def loss(self, ids: np.ndarray, targets: np.ndarray, label_smoothing: float = 0.0) -> Tensor:
        """Mean cross entropy, nats per token.

        ids, targets: (B, T) int, targets[b, t] being what follows ids[b, t].  Returns ().
        The logits of the batch never exist whole (kernels/numpy_ref/linear_cross_entropy.py).
        """
        x = self.hidden(ids).reshape(-1, self.config.d_model)  # (B, T, C) -> (B T, C)
        weight = self.token_embedding.weight
        return ops.linear_cross_entropy(x, weight, targets.reshape(-1), label_smoothing)

    def decay_groups(self, weight_decay: float) -> list[dict]:
        """Parameter groups for the optimizer: matrices decay; norms, biases, embeddings do not."""
        embeddings = {id(self.token_embedding.weight), id(self.position_embedding.weight)}
        decay: list[Tensor] = []
        keep: list[Tensor] = []
        for parameter in self.parameters():
            matrix = parameter.data.ndim >= 2 and id(parameter) not in embeddings
            (decay if matrix else keep).append(parameter)
        return [
            {"params": decay, "weight_decay": weight_decay},
            {"params": keep, "weight_decay": 0.0},
        ]

    def count_parameters(self) -> int:
        """Number of trained values (tied ones once)."""
        return sum(parameter.data.size for parameter in self.parameters())

    def flops_per_token(self) -> int:
        """Floating-point operations of one training token: 6 N + 12 L C T.

        Source: Chowdhery et al. 2022, appendix B.  N leaves out the positions' table, which is
        read, not multiplied; the causal half of attention is counted in full, as is usual.
        """
        c = self.config
        matrices = self.count_parameters() - self.position_embedding.weight.data.size
        return 6 * matrices + 12 * c.n_layers * c.d_model * c.context
