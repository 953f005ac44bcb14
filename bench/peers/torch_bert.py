"""PyTorch's side of `python -m bench train --family bert`: an encoder that names hidden tokens.

As torch_gpt.py: everything eager PyTorch has for speed on a CPU. Post-norm, biases everywhere,
exact GELU, learned positions; the head sees only the tokens that are asked for, as ours does.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from bench.peers import torch_gpt

NOT_ASKED = -1  # as tinygpt/model/encoder.py


class Block(nn.Module):
    """norm(x + attention(x)), then norm(x + mlp(x))."""

    def __init__(self, width: int, heads: int, hidden: int, eps: float):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.norm1 = nn.LayerNorm(width, eps)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)
        self.norm2 = nn.LayerNorm(width, eps)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = self.qkv(x).view(B, T, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        x = self.norm1(x + self.projection(y.transpose(1, 2).reshape(B, T, C)))
        return self.norm2(x + self.down(F.gelu(self.up(x))))


class Bert(nn.Module):
    """The shape of tinygpt's family bert, initial weights of std 0.02."""

    def __init__(self, spec: dict):
        super().__init__()
        width, vocabulary, eps = (spec[k] for k in ("d_model", "vocab_size", "eps"))
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.position_embedding = nn.Embedding(spec["context"], width)
        self.norm = nn.LayerNorm(width, eps)
        shape = width, spec["n_heads"], spec["d_ff"], eps
        self.blocks = nn.ModuleList(Block(*shape) for _ in range(spec["n_layers"]))
        self.transform = nn.Linear(width, width)
        self.transform_norm = nn.LayerNorm(width, eps)
        self.output_bias = nn.Parameter(torch.zeros(vocabulary))
        for parameter in self.parameters():
            if parameter.ndim >= 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, ids, targets):
        """Mean cross entropy of the targets, (B, T), that are not NOT_ASKED."""
        x = self.norm(self.token_embedding(ids) + self.position_embedding.weight[: ids.shape[1]])
        for block in self.blocks:
            x = block(x)
        asked = targets.view(-1) != NOT_ASKED
        x = self.transform_norm(F.gelu(self.transform(x.view(-1, x.shape[-1])[asked])))
        logits = F.linear(x, self.token_embedding.weight, self.output_bias)
        return F.cross_entropy(logits, targets.view(-1)[asked])


class Trainer(torch_gpt.Trainer):
    """torch_gpt's with another model."""

    def build(self, spec: dict) -> Bert:
        return Bert(spec)
