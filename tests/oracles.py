"""Every operation again in PyTorch: an oracle that shares no code with ours.

`ORACLES[name](*tensors, **settings)` takes the arguments of minigrad.ops.<name>, with torch tensors
for arrays. Nothing here imports torch before it is used: it is never a dependency.
"""

from __future__ import annotations

import numpy as np

from minigrad.gradcheck.trees import array, is_float, leaves, rebuild


def torch_values_and_gradients(name: str, case) -> list[np.ndarray]:
    """Outputs, then gradients, for the cotangents that certify.values_and_gradients uses."""
    import torch

    inputs = []

    def leaf(x):
        if is_float(x):
            inputs.append(torch.tensor(np.array(array(x)), dtype=torch.float64, requires_grad=True))
            return inputs[-1]
        return torch.tensor(np.array(x)) if isinstance(x, np.ndarray) else x

    args = rebuild(case.args, [leaf(x) for _, x in leaves(case.args)])
    result = ORACLES[name](*args, **case.settings)
    outputs = [y for _, y in leaves(result)]
    rng = np.random.default_rng(1)
    dys = [rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1.0, 1.0], y.shape) for y in outputs]
    used = [(y, torch.tensor(dy)) for y, dy in zip(outputs, dys, strict=True) if y.requires_grad]
    torch.autograd.backward([y for y, _ in used], [dy for _, dy in used])
    grads = [torch.zeros_like(x) if x.grad is None else x.grad for x in inputs]
    return [t.detach().numpy() for t in outputs + grads]


def _reduce(name):
    def reduce(x, axis=None, keepdims=False):
        axes = tuple(range(x.ndim)) if axis is None else axis
        if name in ("var", "std"):
            return getattr(x, name)(dim=axes, unbiased=False, keepdim=keepdims)
        return getattr(x, name)(dim=axes, keepdim=keepdims)

    return reduce


def _clip(x, low, high):
    return x.clamp(low, high)


def _concatenate(parts, axis):
    import torch

    return torch.cat(parts, dim=axis)


def _stack(parts, axis):
    import torch

    return torch.stack(parts, dim=axis)


def _prod(x, axis=None, keepdims=False):
    axes = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    for a in axes:
        x = x.prod(dim=a, keepdim=True)
    return x if keepdims else x.squeeze(list(axes))


def _gather(x, axis, index):
    import torch

    return x.gather(axis, torch.as_tensor(index))


def _norm(x, axis=None, keepdims=False):
    import torch

    return torch.linalg.vector_norm(x, 2, dim=axis, keepdim=keepdims)


def _logsumexp(x, axis=None, keepdims=False):
    import torch

    axes = tuple(range(x.ndim)) if axis is None else axis
    y = x.logsumexp(axes, keepdim=keepdims)
    return torch.nan_to_num(y, nan=-torch.inf, neginf=-torch.inf)


def _functional(name):
    def call(*args):
        import torch

        return getattr(torch.nn.functional, name)(*args)

    return call


def _pad(x, widths, value):
    import torch

    return torch.nn.functional.pad(x, widths, value=value)


def _einsum(equation, *tensors):
    import torch

    return torch.einsum(equation if "->" in equation or "." in equation else f"{equation}->",
                        *tensors)


def _getitem(x, index):
    return x.flip(0) if index == slice(None, None, -1) else x[index]


def _torch(name):
    def call(*args):
        import torch

        return getattr(torch, name)(*[torch.as_tensor(a) for a in args])

    return call


def _masked_softmax(x):
    """Softmax in which a row of only -inf gives zeros."""
    import torch

    e = torch.exp(x - x.max(-1, keepdim=True).values.clamp_min(-1e300).detach())
    total = e.sum(-1, keepdim=True)
    return e / torch.where(total == 0, torch.ones_like(total), total)


def _layernorm(x, weight, bias=None):
    import torch

    return torch.nn.functional.layer_norm(x, (x.shape[-1],), weight, bias, 1e-5)


def _rmsnorm(x, weight):
    return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight


def _added(norm):
    def call(x, residual, *weights):
        s = x if residual is None else x + residual
        return norm(s, *weights), s

    return call


def _linear(x, weight, bias=None, activation=None, residual=None):
    import torch

    if activation == "gelu":
        x = _gelu(x)
    elif activation == "gelu_erf":
        x = torch.nn.functional.gelu(x)
    elif activation == "silu":
        x = torch.nn.functional.silu(x)
    elif activation == "relu2":
        x = x.relu().square()
    elif activation == "relu":
        x = x.relu()
    elif activation in ("swiglu", "geglu"):
        gate, up = x.chunk(2, dim=-1)
        x = (torch.nn.functional.silu(gate) if activation == "swiglu" else _gelu(gate)) * up
    y = torch.nn.functional.linear(x, weight, bias)
    return y if residual is None else y + residual


def _gelu(x):
    import torch

    return torch.nn.functional.gelu(x, approximate="tanh")


def _attention(q, k, v, bias=None, *, causal=True, scale=None, first=None, last=None, rotary=None):
    import torch

    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    Tq, Tk = q.shape[2], k.shape[2]
    if rotary is not None:
        cos, sin = (torch.tensor(table, dtype=q.dtype) for table in rotary)
        q, k = _turn(q, cos[Tk - Tq : Tk], sin[Tk - Tq : Tk]), _turn(k, cos[:Tk], sin[:Tk])
    mask = torch.ones(1, 1, Tq, Tk, dtype=torch.bool)
    if causal:
        mask = mask.tril(Tk - Tq)
    if first is not None:
        mask = mask & (torch.arange(Tk) >= torch.tensor(first)[:, None, :, None])
    if last is not None:
        mask = mask & (torch.arange(Tk) < torch.tensor(last)[:, None, :, None])
    seeing = mask.any(-1, keepdim=True)  # torch's softmax of no key at all is nan: let it see, ...
    added = torch.zeros((), dtype=q.dtype).masked_fill(~(mask | ~seeing), -torch.inf)
    if bias is not None:
        added = added + bias[:, torch.arange(Tq)[:, None] - torch.arange(Tk) + Tk - 1]
    y = torch.nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=added, scale=scale, enable_gqa=True
    )
    return torch.where(seeing, y, 0).transpose(1, 2)  # ... and throw away what it saw


def _turn(x, cos, sin):
    """Half-split rotation as in Hugging Face's models: x cos + rotate_half(x) sin."""
    import torch

    R = cos.shape[-1]
    turned, rest = x[..., : 2 * R], x[..., 2 * R :]
    half = torch.cat([-turned[..., R:], turned[..., :R]], -1)
    both = turned * torch.cat([cos, cos], -1) + half * torch.cat([sin, sin], -1)
    return torch.cat([both, rest], -1)


def _self_attention(qkv, bias=None, q_norm=None, k_norm=None, *, heads, kv_heads, **sight):
    B, T, width = qkv.shape
    split = qkv.reshape(B, T, heads + 2 * kv_heads, width // (heads + 2 * kv_heads))
    q, k, v = split.split([heads, kv_heads, kv_heads], dim=2)
    q, k = (x if w is None else _rmsnorm(x, w) for x, w in ((q, q_norm), (k, k_norm)))
    return _attention(q, k, v, bias, **sight).reshape(B, T, -1)


def _cross_entropy(logits, targets, label_smoothing=0.0, ignore_index=None):
    import torch

    rows, targets = logits.reshape(-1, logits.shape[-1]), targets.reshape(-1)
    ignored = -100 if ignore_index is None else ignore_index
    if bool((targets == ignored).all()):
        return (rows * 0).sum()  # torch says nan, we say 0
    return torch.nn.functional.cross_entropy(
        rows, targets, label_smoothing=label_smoothing, ignore_index=ignored
    )


def _capped(logits, softcap):
    return logits if softcap is None else softcap * (logits / softcap).tanh()


def _linear_cross_entropy(x, weight, targets, weights=None, softcap=None, **settings):
    logits = _capped(x @ weight.T, softcap)
    if weights is None:
        return _cross_entropy(logits, targets, **settings)
    rows = zip(logits, targets, weights.tolist(), strict=True)
    return sum(w * _cross_entropy(logits, t, **settings) for logits, t, w in rows)


def _linear_log_probability(x, weight, targets, softcap=None):
    return _capped(x @ weight.T, softcap).log_softmax(-1).gather(-1, targets[..., None])[..., 0]


def _dropout(x, p, key):
    """The mask is a secret of ours: taken from our forward on ones; the rest is judged."""
    import torch

    from kernels.numpy_ref import dropout_forward

    return x * torch.tensor(dropout_forward(np.ones(tuple(x.shape)), p, key))


ORACLES = {
    "abs": lambda x: x.abs(),
    "add": lambda a, b: a + b,
    "add_layernorm": _added(_layernorm),
    "add_rmsnorm": _added(_rmsnorm),
    "astype": lambda x, dtype: x.double(),
    "attention": _attention,
    "broadcast_to": lambda x, shape: x.broadcast_to(shape),
    "chunk": lambda x, sections, axis: list(x.chunk(sections, axis)),
    "clip": _clip,
    "clone": lambda x: x.clone(),
    "concatenate": _concatenate,
    "cos": lambda x: x.cos(),
    "cross_entropy": _cross_entropy,
    "cumsum": lambda x, axis: x.cumsum(axis),
    "div": lambda a, b: a / b,
    "dropout": _dropout,
    "einsum": _einsum,
    "embedding": lambda weight, ids: weight[ids],
    "exp": lambda x: x.exp(),
    "expm1": lambda x: x.expm1(),
    "flatten": lambda x, start, end: x.flatten(start, end),
    "flip": lambda x, axes: x.flip(axes),
    "gather": _gather,
    "gelu": _gelu,
    "getitem": _getitem,
    "layernorm": _layernorm,
    "linear": _linear,
    "linear_cross_entropy": _linear_cross_entropy,
    "linear_log_probability": _linear_log_probability,
    "log": lambda x: x.log(),
    "log1p": lambda x: x.log1p(),
    "log_softmax": lambda x, axis: x.log_softmax(axis),
    "logsumexp": _logsumexp,
    "masked_fill": lambda x, mask, value: x.masked_fill(mask, value),
    "matmul": lambda a, b: a @ b,
    "max": _reduce("amax"),
    "maximum": _torch("maximum"),
    "mean": _reduce("mean"),
    "min": _reduce("amin"),
    "minimum": _torch("minimum"),
    "mse_loss": _functional("mse_loss"),
    "mul": lambda a, b: a * b,
    "neg": lambda x: -x,
    "norm": _norm,
    "pad": _pad,
    "permute": lambda x, axes: x.permute(axes),
    "pow": lambda a, b: a**b,
    "prod": _prod,
    "reciprocal": lambda x: x.reciprocal(),
    "relu": lambda x: x.relu(),
    "remainder": _torch("remainder"),
    "reshape": lambda x, shape: x.reshape(shape),
    "rmsnorm": _rmsnorm,
    "rsqrt": lambda x: x.rsqrt(),
    "self_attention": _self_attention,
    "sigmoid": lambda x: x.sigmoid(),
    "silu": _functional("silu"),
    "sin": lambda x: x.sin(),
    "softmax": _masked_softmax,
    "softplus": lambda x: x.exp().log1p(),
    "split": lambda x, sizes, axis: list(x.split(list(sizes), dim=axis)),
    "sqrt": lambda x: x.sqrt(),
    "square": lambda x: x.square(),
    "squeeze": lambda x, axis=None: x.squeeze() if axis is None else x.squeeze(axis),
    "stack": _stack,
    "std": _reduce("std"),
    "sub": lambda a, b: a - b,
    "sum": _reduce("sum"),
    "swapaxes": lambda x, a, b: x.swapaxes(a, b),
    "t": lambda x: x.t(),
    "tanh": lambda x: x.tanh(),
    "tile": lambda x, repeats: x.tile(repeats),
    "transpose": lambda x, a, b: x.transpose(a, b),
    "tril": lambda x, k: x.tril(k),
    "triu": lambda x, k: x.triu(k),
    "unbind": lambda x, axis: list(x.unbind(axis)),
    "unsqueeze": lambda x, axis: x.unsqueeze(axis),
    "var": _reduce("var"),
    "where": _torch("where"),
}
