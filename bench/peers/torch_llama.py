"""PyTorch's side of `python -m bench train --family llama`: RMSNorm, RoPE, SwiGLU, grouped heads.

As torch_gpt.py: everything eager PyTorch has for speed on a CPU. One projection for queries, keys
and values and one for gate and up; the rotation is half-split with tables of the full width, made
once; keys and values of a group are shared by scaled_dot_product_attention itself.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from bench.peers import torch_gpt


def rotated(x, cos, sin):
    """x cos + rotate_half(x) sin, x (B, H, T, D), tables (T, D)."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, width: int, heads: int, kv_heads: int, hidden: int, eps: float):
        super().__init__()
        self.heads, self.kv_heads, self.size = heads, kv_heads, width // heads
        self.norm1 = nn.RMSNorm(width, eps)
        self.qkv = nn.Linear(width, (heads + 2 * kv_heads) * self.size, bias=False)
        self.projection = nn.Linear(width, width, bias=False)
        self.norm2 = nn.RMSNorm(width, eps)
        self.up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x, cos, sin):
        B, T, C = x.shape
        heads = self.qkv(self.norm1(x)).view(B, T, -1, self.size).transpose(1, 2)
        q, k, v = heads.split((self.heads, self.kv_heads, self.kv_heads), dim=1)
        q, k = rotated(q, cos, sin), rotated(k, cos, sin)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.projection(y.transpose(1, 2).reshape(B, T, C))
        gate, up = self.up(self.norm2(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)


class Llama(nn.Module):
    """The shape of tinygpt's family llama, initial weights of std 0.02."""

    def __init__(self, spec: dict):
        super().__init__()
        width, heads, layers = (spec[k] for k in ("d_model", "n_heads", "n_layers"))
        shape = width, heads, spec["n_kv_heads"], spec["d_ff"], spec["eps"]
        self.token_embedding = nn.Embedding(spec["vocab_size"], width)
        self.blocks = nn.ModuleList(Block(*shape) for _ in range(layers))
        self.norm = nn.RMSNorm(width, spec["eps"])
        self.output = nn.Linear(width, spec["vocab_size"], bias=False)
        size = width // heads
        rates = spec["rope_theta"] ** (-torch.arange(size // 2) / (size // 2))
        turns = (torch.arange(spec["context"])[:, None] * rates).repeat(1, 2)  # (T, D)
        self.register_buffer("cos", turns.cos(), persistent=False)
        self.register_buffer("sin", turns.sin(), persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim >= 2:
                residual = name.endswith(("projection.weight", "down.weight"))
                nn.init.normal_(parameter, std=0.02 / (2 * layers) ** 0.5 if residual else 0.02)

    def forward(self, ids, targets):
        """Mean cross entropy of ids and targets, (B, T) each."""
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        x = self.token_embedding(ids)
        for block in self.blocks:
            x = block(x, cos, sin)
        logits = self.output(self.norm(x))
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


class Trainer(torch_gpt.Trainer):
    """torch_gpt's with another model."""

    def build(self, spec: dict) -> Llama:
        return Llama(spec)
