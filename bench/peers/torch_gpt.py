"""PyTorch's side of `python -m bench train`: GPT-2's shape, the fast way that PyTorch offers.

The same model as tinygpt/model/gpt.py (pre-norm, no biases, tanh GELU, learned positions, tied
output), with everything eager PyTorch has for speed on a CPU: one projection for q, k and v,
scaled_dot_product_attention, fused AdamW, foreach clipping, gradients set to None. Nothing here
slows it down; whoever finds a faster eager version, send it.
"""

from __future__ import annotations

import os

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

TABLES = ("token_embedding", "position_embedding", "bigrams", "output")


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, bias=False)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.projection = nn.Linear(width, width, bias=False)
        self.norm2 = nn.LayerNorm(width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x, bias=None):
        """bias: (H, T, T), added to the scores, -inf where a key comes after its query."""
        B, T, C = x.shape
        heads = self.qkv(self.norm1(x)).view(B, T, 3, self.heads, C // self.heads)
        q, k, v = heads.permute(2, 0, 3, 1, 4)  # 3 x (B, H, T, D), views
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, is_causal=bias is None)
        x = x + self.projection(y.transpose(1, 2).reshape(B, T, C))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class GPT(nn.Module):
    """The shape of tinygpt/model/gpt.py with GPT-2's initial weights.

    alibi: slopes on the distance of query and key in place of learned positions, times so much.
    bigrams: a table of pairs of tokens, zeros.
    std: of the matrices' initial weights; tables have 0.02.
    """

    def __init__(
        self, vocab_size: int, context: int, layers: int, heads: int, width: int,
        alibi: float | None = None, bigrams: bool = False, std: float = 0.02,
    ):
        super().__init__()
        self.token_embedding = nn.Embedding(vocab_size, width)
        self.position_embedding = None if alibi else nn.Embedding(context, width)
        bias = slopes(heads, context) * alibi if alibi else None
        self.register_buffer("bias", bias, persistent=False)
        pairs = (vocab_size + 1) * vocab_size
        self.bigrams = nn.Embedding(pairs, width) if bigrams else None
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width, bias=False)
        self.register_buffer("positions", torch.arange(context), persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim >= 2:
                own = 0.02 if name.split(".")[0] in TABLES else std
                residual = name.endswith(("projection.weight", "down.weight"))
                nn.init.normal_(parameter, std=own / (2 * layers) ** 0.5 if residual else own)
        if self.bigrams is not None:
            nn.init.zeros_(self.bigrams.weight)

    def forward(self, ids, targets=None):
        """Mean cross entropy, or the logits (B, T, V) without targets."""
        x, T = self.token_embedding(ids), ids.shape[1]
        if self.bigrams is not None:
            before = F.pad(ids[:, :-1] + 1, (1, 0))
            x = x + self.bigrams(before * self.token_embedding.num_embeddings + ids)
        if self.position_embedding is not None:
            x = x + self.position_embedding(self.positions[:T])
        bias = None if self.bias is None else self.bias[:, :T, :T]
        for block in self.blocks:
            x = block(x, bias)
        logits = F.linear(self.norm(x), self.token_embedding.weight)
        if targets is None:
            return logits
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


def slopes(heads: int, context: int) -> torch.Tensor:
    """What ALiBi adds to the score of query i and key j, (H, T, T): -2^(-8 h / H) (i - j)."""
    rates = 2.0 ** (-8 / heads * torch.arange(1, heads + 1))
    away = torch.arange(context)[:, None] - torch.arange(context)
    bias = -rates[:, None, None] * away
    return bias.masked_fill(away < 0, float("-inf"))


def parts(model: nn.Module) -> tuple[list, list]:
    """(what decays, what does not: norms and tables, an untied head too), as on our side."""
    tables = {p for name, p in model.named_parameters() if name.split(".")[0] in TABLES}
    decay = [p for p in model.parameters() if p.ndim >= 2 and p not in tables]
    return decay, [p for p in model.parameters() if p.ndim < 2 or p in tables]


def make_optimizer(model: nn.Module, lr: float, beta2: float, weight_decay: float):
    """Fused AdamW."""
    decay, keep = parts(model)
    groups = [
        {"params": decay, "weight_decay": weight_decay},
        {"params": keep, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, beta2), eps=1e-8, fused=True)


def make_muon(model: nn.Module, recipe):
    """PyTorch's Muon, updates of the size of AdamW's, and fused AdamW for what does not decay.

    A group's lr is lr_scale of the recipe's.
    """
    matrices, keep = parts(model)
    muon = torch.optim.Muon(
        matrices, lr=recipe.lr, weight_decay=recipe.weight_decay, momentum=recipe.momentum,
        adjust_lr_fn="match_rms_adamw",
    )
    betas = (recipe.beta1, recipe.beta2)
    groups = [
        {"params": [p for p in keep if p.ndim == ndim], "lr_scale": scale, "lr": scale * recipe.lr}
        for ndim, scale in ((2, recipe.embedding_lr), (1, recipe.vector_lr))
    ]
    adamw = torch.optim.AdamW(groups, betas=betas, eps=recipe.eps, weight_decay=0.0, fused=True)
    return [muon, adamw]


class Trainer:
    """What bench/worker.py drives: `step`, `products`, `describe`."""

    def __init__(self, spec: dict):
        torch.set_num_threads(spec["threads"])
        torch.manual_seed(0)
        self.model = self.build(spec)
        self.run = torch.compile(self.model) if spec["compile"] else self.model
        self.optimizer = make_optimizer(self.model, 1e-3, 0.99, 0.1)
        self.compiled = spec["compile"]

    def build(self, spec: dict) -> nn.Module:
        """The model of a spec."""
        shape = (spec[k] for k in ("vocab_size", "context", "n_layers", "n_heads", "d_model"))
        return GPT(*shape)

    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        """One optimizer step on ids x and targets y, (B, T) int64; returns the loss."""
        loss = self.run(torch.from_numpy(x), torch.from_numpy(y))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return loss.item()

    def products(self) -> dict:
        """Ways to multiply two float32 matrices here."""

        def multiply(a: np.ndarray, b: np.ndarray):
            return torch.mm(torch.from_numpy(a), torch.from_numpy(b))

        return {"torch": multiply}

    def describe(self) -> dict:
        """For the table: name, isa, threads, parameters."""
        capability = torch.backends.cpu.get_cpu_capability()
        mode = "compile" if self.compiled else "eager"
        return {
            "name": f"PyTorch {torch.__version__} {mode}",
            "isa": os.environ.get("ATEN_CPU_CAPABILITY", capability).lower(),
            "threads": torch.get_num_threads(),
            "parameters": sum(p.numel() for p in self.model.parameters()),
        }
