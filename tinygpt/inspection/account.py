"""Where a logit comes from: a sum over the embedding, every head and every MLP.

In a pre-norm model the last stream is a sum of everything that was added to it,

    s = start + sum over layers of (head 1 + ... + head H + bias + MLP)

and a logit is linear in s once the last norm's divisor is held at what it was:

    layernorm   logit_v = sum_i w_vi (gamma_i (s_i - mean s) / sigma + beta_i)
    rmsnorm     logit_v = sum_i w_vi gamma_i s_i / rms

so each summand of s has its share, and the shares sum to the logit (Elhage et al. 2021 call it
direct logit attribution). It says what a part wrote for this token, not what the part read: a head
whose own share is 0 may have fed the head that wrote it.

Read next: habits.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minigrad import Tensor, nn
from minigrad.nn import evaluating
from tinygpt.errors import UserError
from tinygpt.inspection.watch import Seen, attention_in
from tinygpt.model import GPT


@dataclass(frozen=True)
class Account:
    """The shares of one token's logit at one position.

    start: of the token's and position's vectors.  heads: (L, H); rest: (L,), of attention's output
    beside its heads (biases, adapters); mlps: (L,).
    norm: of the last norm's bias.  rounding: the logit less all of these: of float weights what
    float32 leaves of it, of rounded ones (int8) what rounding each part by itself changes.
    """

    token: int
    position: int
    logit: float
    start: float
    heads: np.ndarray
    rest: np.ndarray
    mlps: np.ndarray
    norm: float
    rounding: float


def account(model: GPT, seen: Seen, position: int, token: int) -> Account:
    """The account of `token`'s logit at a position of `seen` (of `watch` on this model).

    Raises UserError for a model whose last stream is no sum, or whose head is no product;
    IndexError for a position or token that is not there.
    """
    check_sums(model)
    logit, row = float(seen.logits[position, token]), _head_row(model, token)
    direction, constant = frozen_norm(model.norm, seen.layers[-1].stream[position], row)
    with evaluating(model):
        heads = np.array([
            _heads(attention_in(block), layer.attention.read[position])
            for block, layer in zip(model.layers(), seen.layers, strict=True)
        ])  # (L, H, C)
    attended = np.array([layer.attended[position] for layer in seen.layers], np.float64)
    mlps = np.array([layer.mlp[position] for layer in seen.layers], np.float64) @ direction
    start = float(seen.start[position].astype(np.float64) @ direction)
    rest = (attended - heads.sum(axis=1)) @ direction
    heads = heads @ direction
    total = start + heads.sum() + rest.sum() + mlps.sum() + constant
    return Account(
        token, position, logit, start, heads, rest, mlps, constant, logit - float(total)
    )


def check_sums(model: object) -> None:
    """Raise UserError for a model whose logit is no sum of what its parts wrote."""
    if not isinstance(model, GPT):
        raise UserError(
            "only a decoder's logit is a sum of what its parts wrote: an encoder's head bends it "
            "once more. Look at the attention of this model instead."
        )
    if model.shape.norm_place == "post":
        raise UserError(
            'this model norms after adding (norm_place = "post"), so that its last stream is no '
            "sum of what its parts wrote. Look at its lens instead."
        )
    if model.shape.softcap is not None:
        raise UserError(
            f"this model bends its logits (softcap = {model.shape.softcap:g}), so that they are "
            "no sums. Look at its lens instead."
        )


def frozen_norm(
    norm: nn.LayerNorm | nn.RMSNorm, stream: np.ndarray, row: np.ndarray
) -> tuple[np.ndarray, float]:
    """row . norm(x) as direction . x + constant, exact where x is `stream` (C,).

    In float64; the divisor is the stream's.
    """
    x, gamma = stream.astype(np.float64), norm.weight.data.astype(np.float64)
    scaled = row.astype(np.float64) * gamma
    if isinstance(norm, nn.RMSNorm):
        return scaled / np.sqrt((x * x).mean() + norm.eps), 0.0
    # w . gamma (x - mean x) = (w gamma - mean(w gamma)) . x
    direction = (scaled - scaled.mean()) / np.sqrt(x.var() + norm.eps)
    beta = None if norm.bias is None else norm.bias.data
    return direction, 0.0 if beta is None else float(row.astype(np.float64) @ beta)


def _head_row(model: GPT, token: int) -> np.ndarray:
    """The output projection's row of a token, (E,)."""
    table = model.output or model.token_embedding
    return table(np.array([token])).data[0]


def _heads(attention: nn.SelfAttention, read: np.ndarray) -> np.ndarray:
    """What the projection back makes of each head alone, (H, D) -> (H, C), its bias left out."""
    H, D = read.shape
    alone = np.zeros((H + 1, H, D), np.float32)  # the last row has no head: what is left is bias
    alone[np.arange(H), np.arange(H)] = read
    made = attention.proj(Tensor(alone.reshape(H + 1, H * D))).data.astype(np.float64)
    return made[:H] - made[H]
