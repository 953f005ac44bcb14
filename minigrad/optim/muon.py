"""Muon: momentum whose every direction counts the same.

The gradient of a weight matrix is dominated by a few singular directions; the others, often the
rarer things worth learning, barely move it. Muon replaces the momentum matrix U S V^T by U V^T:
all singular values become 1. What is not a matrix between hidden layers (embeddings, norms) has
no such structure and follows AdamW.

Source: Jordan et al. 2024 (the method and the quintic's coefficients); Liu et al. 2025 for the
scale 0.2 sqrt(max(out, in)), which gives the update the size of an AdamW update, so that both
rules share one learning rate and one weight decay.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from kernels import active
from kernels.memory import empty
from minigrad.optim.adamw import AdamW
from minigrad.optim.optimizer import State
from minigrad.tensor import Tensor

QUINTIC = (3.4445, -4.7750, 2.0315)


def orthogonalize(matrix: np.ndarray, iterations: int = 5) -> np.ndarray:
    """U V^T of matrix = U S V^T, roughly: singular values end within about 0.7 to 1.2.

    matrix: (M, N) float.  Returns (M, N).
    """
    return _apply(whiten(gram(matrix)[None], iterations)[0], matrix)


def gram(matrix: np.ndarray) -> np.ndarray:
    """X X^T of a wide matrix X (M <= N), X^T X of a tall one.  Returns (m, m), m = min(M, N)."""
    wide = matrix.shape[0] <= matrix.shape[1]
    return active.matmul_forward(*((matrix, matrix.T) if wide else (matrix.T, matrix)))


def _apply(weights: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """From the side on which `gram` was taken."""
    wide = matrix.shape[0] <= matrix.shape[1]
    return active.matmul_forward(*((weights, matrix) if wide else (matrix, weights)))


def whiten(grams: np.ndarray, iterations: int = 5) -> np.ndarray:
    """For each X X^T the W with orthogonalize(X) = W X.

    grams: (B, m, m), one matrix each: products this small keep the cores busy only side by side.
    Returns (B, m, m), symmetric.
    """
    # A polynomial p of G = X X^T = U S^2 U^T, times X, acts on the singular values alone:
    #   p(G) X = U p(S^2) S V^T
    # The quintic s (a + b s^2 + c s^4), repeated, drives every s in (0, 1] towards 1. It is steep
    # at 0 (small s grow fast) and does not quite settle, which training does not mind. One round
    # multiplies X by p = a + b G + c G^2, hence G by p^2; and since all of them are polynomials of
    # the first G they commute. So X itself, the long one, can wait: W gathers the p of all rounds.
    a, b, c = (grams.dtype.type(x) for x in QUINTIC)
    product, m = active.matmul_forward, grams.shape[-1]
    squared_norm = np.trace(grams, axis1=1, axis2=2)[:, None, None] + grams.dtype.type(1e-14)
    grams = grams / squared_norm  # those of X / |X|: all s <= 1
    whole = np.eye(m, dtype=grams.dtype) / np.sqrt(squared_norm)
    for rounds_left in reversed(range(iterations)):
        inner = np.multiply(grams, c, out=empty(grams.shape, grams.dtype))
        inner.reshape(-1, m * m)[:, :: m + 1] += b  # the diagonals: c G + b
        p = product(grams, inner)
        p.reshape(-1, m * m)[:, :: m + 1] += a  # c G^2 + b G + a
        whole = product(p, whole)
        if rounds_left:
            grams = product(p, product(grams, p))
    return whole


class Muon(AdamW):
    """Muon for `matrices`, AdamW for the groups in `others`; one lr drives both.

    matrices: 2-D Tensors of hidden layers, each with one momentum (4 bytes a parameter).
    others: groups as AdamW takes them.
    momentum: of the matrices, Nesterov's form; 0.95 is usual for long runs, ours are short.
    weight_decay: of the matrices, per unit of lr.
    """

    def __init__(
        self,
        matrices: Iterable[Tensor],
        others: Iterable[dict[str, Any]],
        lr: float = 1e-2,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
        iterations: int = 5,
    ):
        matrices = list(matrices)
        self._orthogonal = {id(matrix) for matrix in matrices}
        self.momentum, self.iterations = momentum, iterations
        groups = [{"params": matrices, "weight_decay": weight_decay}, *others]
        super().__init__(groups, lr=lr, betas=betas, eps=eps, weight_decay=0.0)

    def init(self, param: Tensor) -> State:
        """One momentum of the matrix's shape and dtype; AdamW's m and v for the others."""
        if id(param) in self._orthogonal:
            return {"momentum": np.zeros_like(param.data)}
        return super().init(param)

    def update(
        self, params: list[Tensor], states: list[State], group: dict[str, Any], grad_scale: float
    ) -> None:
        """As AdamW; matrices of one smaller side are orthogonalised together."""
        if "momentum" not in states[0]:
            return super().update(params, states, group, grad_scale)
        pairs = zip(params, states, strict=True)
        ahead = [self._look_ahead(param, state, grad_scale) for param, state in pairs]
        for size in sorted({min(param.shape) for param in params}):  # one smaller side: together
            alike = [i for i, param in enumerate(params) if min(param.shape) == size]
            weights = whiten(np.stack([gram(ahead[i]) for i in alike]), self.iterations)
            for i, w in zip(alike, weights, strict=True):
                self._move(params[i], _apply(w, ahead[i]), group)

    def _look_ahead(self, param: Tensor, state: State, grad_scale: float) -> np.ndarray:
        """Take param's gradient into its momentum; returns Nesterov's step, (M, N)."""
        # grad_scale does not matter: orthogonalising forgets the length of the momentum. It weighs
        # this gradient against earlier ones, as clipping means it to.
        as_dtype = param.data.dtype.type
        momentum, grad = state["momentum"], empty(param.shape, param.dtype)
        grad[...] = param.grad
        grad *= as_dtype(grad_scale)
        momentum *= as_dtype(self.momentum)
        momentum += grad
        ahead = np.multiply(momentum, as_dtype(self.momentum), out=empty(param.shape, param.dtype))
        ahead += grad
        return ahead

    def _move(self, param: Tensor, direction: np.ndarray, group: dict[str, Any]) -> None:
        as_dtype = param.data.dtype.type
        direction *= as_dtype(group["lr"] * 0.2 * math.sqrt(max(param.shape)))
        decay = 1 - group["lr"] * group["weight_decay"]
        if decay != 1:
            param.data *= as_dtype(decay)
        param.data -= direction
