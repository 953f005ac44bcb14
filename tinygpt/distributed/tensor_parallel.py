"""Tensor parallel, to be read and tried: every rank holds a slice of every layer.

A block is two pairs of matrices. The first of a pair is cut by its rows, so each rank computes some
heads of attention or some of the MLP's hidden units, whole; the second by its columns, so each
makes a part of every output, and the parts are added up. One sum forward and one backward for each
half of a block:

    x ─ same ─┬─ rank 0: x W1[first half]ᵀ ─ gelu ─ W2[:, first half]ᵀ ─┬─ add up ─ y
              └─ rank 1: x W1[second half]ᵀ ─ gelu ─ W2[:, second half]ᵀ ┘

Two operations do it, each the other's derivative: `same` passes x on and adds up its gradients;
`add_up` adds up y and passes its gradient on. Embeddings, norms and the head are computed by all
ranks alike, and so are their gradients.

A sum of (B, T, C) numbers stands in the middle of every half block, and nothing can be computed
while it travels: it wants a line as fast as the memory of one machine. Between laptops it never
pays; it is here because every large model is trained so.

    divide(model, communicator)     then train each rank's model as if it were alone

Source: Shoeybi et al. 2019 (Megatron-LM).
Read next: pipeline.py.
"""

from __future__ import annotations

import numpy as np

from minigrad import Tensor, nn
from tinygpt.distributed.communicator import Communicator
from tinygpt.distributed.sums import Plain, all_reduce

CHANNEL = 1


def summed(array: np.ndarray, communicator: Communicator) -> np.ndarray:
    """The sum of all ranks' arrays of one shape, the same bits at all."""
    flat, n = array.reshape(-1).copy(), communicator.size
    bounds = [k * flat.size // n for k in range(n + 1)]
    communicator.finish(all_reduce(communicator, flat, bounds, Plain(), CHANNEL))
    return flat.reshape(array.shape)


def same(x: Tensor, communicator: Communicator) -> Tensor:
    """x, which all ranks have.  Each uses it for its slice, so its gradients are added up."""
    return Tensor(x.data, (x,), lambda dy: (summed(dy, communicator),))


def add_up(y: Tensor, communicator: Communicator) -> Tensor:
    """The sum of what the ranks made.  y_0 + y_1 has the derivative 1 by each: dy passes."""
    return Tensor(summed(y.data, communicator), (y,), lambda dy: (dy,))


class Divided(nn.Module):
    """This rank's slice of a layer, between `same` and `add_up`."""

    def __init__(self, part: nn.Module, communicator: Communicator):
        self.part, self._communicator = part, communicator

    def forward(self, x: Tensor, *others: object) -> Tensor:
        """x: (B, T, C), what else as for the whole layer.  Returns (B, T, C)."""
        return add_up(self.part(same(x, self._communicator), *others), self._communicator)


def attention_slice(whole: nn.SelfAttention, rank: int, ranks: int) -> nn.SelfAttention:
    """Some of the heads: their rows of the first projection, their columns of the one back."""
    size, heads, kv_heads = whole.head_dim, whole.n_heads // ranks, whole.n_kv_heads // ranks
    width = whole.proj.weight.shape[0]
    part = nn.SelfAttention(
        width, heads, kv_heads, size, whole.causal, bias=whole.qkv.bias is not None,
        proj_bias=False, qk_norm=whole.qk_norm, rng=None,
    )
    q, k, v = np.split(
        whole.qkv.weight.data, np.cumsum([whole.n_heads, whole.n_kv_heads]) * size, axis=0
    )
    rows = [_own(array, rank, ranks) for array in (q, k, v)]
    part.qkv.weight = nn.Parameter(np.concatenate(rows))                   # ((H + 2 Hkv) D / n, C)
    part.proj.weight = nn.Parameter(_own(whole.proj.weight.data.T, rank, ranks).T.copy())
    return part


def mlp_slice(whole: nn.MLP, rank: int, ranks: int) -> nn.MLP:
    """Some of the hidden units: their rows of the first matrix, their columns of the second."""
    width, hidden = whole.down.weight.shape
    part = nn.MLP(width, hidden // ranks, whole.down.activation or "", bias=False, rng=None)
    part.up.weight = nn.Parameter(_own(whole.up.weight.data, rank, ranks))          # (4C / n, C)
    part.down.weight = nn.Parameter(_own(whole.down.weight.data.T, rank, ranks).T.copy())
    return part


def divide(model: nn.Module, communicator: Communicator) -> None:
    """Leave of every block of `model` what is this rank's.

    Raises ValueError for heads or hidden units that do not go into as many parts, and for a model
    with biases, gates, dropout or normed heads: this page is about the cut.
    """
    rank, ranks = communicator.rank, communicator.size
    for module in list(model.modules()):
        if isinstance(module, nn.SelfAttention):
            _check("attention heads", module.n_kv_heads, ranks)
            plain = module.qkv.bias is None and not module.qk_norm and not module.dropout.p
        elif isinstance(module, nn.MLP):
            _check("hidden units", module.down.weight.shape[1], ranks)
            gated = module.up.weight.shape[0] != module.down.weight.shape[1]
            plain = module.up.bias is None and not gated and not module.dropout.p
        else:
            continue
        if not plain:
            raise ValueError("divide: give a model without biases, gates, dropout and normed heads")
    nn.replace_modules(
        model, lambda name, m: isinstance(m, nn.SelfAttention),
        lambda m: Divided(attention_slice(m, rank, ranks), communicator),  # type: ignore[arg-type]
    )
    nn.replace_modules(
        model, lambda name, m: isinstance(m, nn.MLP),
        lambda m: Divided(mlp_slice(m, rank, ranks), communicator),  # type: ignore[arg-type]
    )


def _own(array: np.ndarray, rank: int, ranks: int) -> np.ndarray:
    """A rank's part of the rows."""
    each = len(array) // ranks
    return array[rank * each : (rank + 1) * each].copy()


def _check(what: str, count: int, ranks: int) -> None:
    if count % ranks:
        raise ValueError(f"divide: {count} {what} do not go into {ranks} equal parts")
