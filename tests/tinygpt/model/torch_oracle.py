"""The same GPT as a plain function of PyTorch tensors: an oracle that shares no code with ours."""

import torch
import torch.nn.functional as F


def torch_loss(weights, config, ids, targets):
    """Cross entropy of a GPT-2-shaped model; `weights` has our parameter names."""
    B, T = ids.shape
    C, H = config.d_model, config.n_heads

    def norm(x, name):
        return F.layer_norm(x, (C,), weights[f"{name}.weight"], eps=1e-5)

    x = weights["token_embedding.weight"][ids] + weights["position_embedding.weight"][:T]
    mask = torch.triu(torch.full((T, T), float("-inf")), diagonal=1)
    for i in range(config.n_layers):
        block = f"blocks.{i}"
        qkv = norm(x, f"{block}.norm1") @ weights[f"{block}.attention.qkv.weight"].T
        q, k, v = (part.view(B, T, H, C // H).transpose(1, 2) for part in qkv.split(C, dim=-1))
        attention = torch.softmax(q @ k.transpose(-1, -2) / (C // H) ** 0.5 + mask, dim=-1)
        mixed = (attention @ v).transpose(1, 2).reshape(B, T, C)
        x = x + mixed @ weights[f"{block}.attention.proj.weight"].T
        up = norm(x, f"{block}.norm2") @ weights[f"{block}.mlp.up.weight"].T
        x = x + F.gelu(up, approximate="tanh") @ weights[f"{block}.mlp.down.weight"].T
    logits = norm(x, "norm") @ weights["token_embedding.weight"].T
    return F.cross_entropy(logits.view(B * T, -1), targets.reshape(-1))
