"""Muon: one step of a list of matrices along their momentum with all singular values made 1.

The gradient of a weight matrix is dominated by a few singular directions; the others, often the
rarer things worth learning, barely move it. Muon replaces the momentum matrix U S V^T by U V^T:
every direction counts the same.

All matrices of a parameter group come in one call: they share nothing, so that each thread takes
one after the other, and products too small for a team keep every core busy.

Also written in: numba_jit/muon.py, c/muon.c (with c/symmetric.h, the products).
Used by: minigrad/optim/muon.py.

Source: Jordan et al. 2024 (the method); Amsel et al. 2025 (the best polynomial for each round); Liu
et al. 2025 for the scale 0.2 sqrt(max(M, N)), which gives the update the size of an AdamW update,
so that both rules share one learning rate and one weight decay.
"""

import math

import numpy as np

from kernels import checks, contracts

# a, b, c of p(s) = a s + b s^3 + c s^5 in each round. Singular values begin in (0, 1]; those from
# LEAST on are to end near 1. Of all such p, that of the first round is the one whose largest
# |1 - p(s)| on [LEAST, 1] is least (it is reached at four points, by turns above and below), and
# [1 - e, 1 + e] is where the second finds them; and so on: [0.79, 1.21] after four. Only a lower
# end under a fortieth of the upper is lifted to that, lest p dip near 0 in between.
LEAST = 0.003
BEST = (
    (8.211827, -23.342877, 17.106415),
    (4.001597, -2.915098, 0.547473),
    (3.524594, -2.640558, 0.527298),
    (2.512775, -1.853505, 0.438949),
)
LAST = (1.875, -1.25, 0.375)  # what they tend to: p(1) = 1, p'(1) = p''(1) = 0
TINY = 1e-14  # beside |X|^2, so that a matrix of zeros stays one


def muon_update(
    params, grads, momenta, *, lr, momentum, weight_decay, rounds=BEST, grad_scale=1.0
):
    """One Muon step, in place on params and momenta.

    params, grads, momenta: lists of equal length; the three matrices at one place have one shape
    (M, N) and float dtype.  params and momenta are written: contiguous, and none shares memory with
    another array of the lists (ValueError).
    lr: learning rate; weight_decay: decoupled, per unit of lr; momentum: what is kept of it;
    rounds: (a, b, c) of each round of `orthogonalize`; grad_scale: a factor on grads (the clipping
    factor).  Orthogonalising forgets the length of the momentum, so grad_scale only weighs this
    gradient against earlier ones, as clipping means it to.
    """
    for row in zip(params, grads, momenta, strict=True):
        contracts.muon.check(*row)
    checks.lists_apart("muon", {"params": params, "momenta": momenta}, {"grads": grads})
    for param, grad, held in zip(params, grads, momenta, strict=True):
        as_dtype = param.dtype.type
        g = grad * as_dtype(grad_scale)
        held *= as_dtype(momentum)
        held += g
        ahead = held * as_dtype(momentum) + g  # Nesterov's: a step further along the new momentum
        decay, rate = factors(lr, weight_decay, param.shape)
        param *= as_dtype(decay)
        param -= as_dtype(rate) * orthogonalize(ahead, rounds)


def rounds_of(iterations):
    """(a, b, c) of each of so many rounds, at least 1.  Raises ValueError."""
    if iterations < 1:
        raise ValueError(f"muon: {iterations} rounds leave nothing to step along; take at least 1")
    return BEST[:iterations] + (LAST,) * (iterations - len(BEST))


def factors(lr, weight_decay, shape):
    """(decay, rate) of param = decay param - rate U V^T for a matrix of a shape, Python floats."""
    return 1 - lr * weight_decay, lr * 0.2 * math.sqrt(max(shape))


def orthogonalize(matrix, rounds=BEST):
    """U V^T of matrix = U S V^T, roughly: singular values from LEAST of |matrix| on end in 0.79 to
    1.21, smaller ones below.

    matrix: (M, N) float; rounds: (a, b, c) of each.  Returns (M, N).
    """
    wide = matrix.shape[0] <= matrix.shape[1]
    gram = matrix @ matrix.T if wide else matrix.T @ matrix  # (m, m), m the smaller side
    w = whiten(gram, rounds)
    return w @ matrix if wide else matrix @ w


def whiten(gram, rounds):
    """For G = X X^T the W with orthogonalize(X) = W X (for X^T X: X W).

    gram: (m, m) float, symmetric.  Returns (m, m), symmetric.
    """
    # A polynomial p of G = X X^T = U S^2 U^T, times X, acts on the singular values alone:
    #   p(G) X = U p(S^2) S V^T
    # The quintics s (a + b s^2 + c s^4), one after another, drive every s in (0, 1] towards 1: the
    # first are steep at 0 (small s grow fast); that the last does not quite settle, training does
    # not mind. One round multiplies X by p = a + b G + c G^2, hence G by p^2; and since all of them
    # are polynomials of the first G they commute. So X itself, the long one, can wait: W gathers
    # the p of all rounds.
    #
    # And every product is of two polynomials of one symmetric matrix, A B = B A = (A B)^T: itself
    # symmetric. Half of it says everything, which is what c/symmetric.h lives on. For an m x n
    # matrix and r rounds there are 4 r - 3 such products of m^3 multiplications each.
    as_dtype = gram.dtype.type
    squared_norm = np.trace(gram) + as_dtype(TINY)
    g, w = gram / squared_norm, None  # that of X / |X|: all s <= 1
    for left, (a, b, c) in zip(reversed(range(len(rounds))), rounds, strict=True):
        p = as_dtype(c) * (g @ g) + as_dtype(b) * g
        p.flat[:: len(p) + 1] += as_dtype(a)
        if left:
            g = p @ (p @ g)
        w = p if w is None else p @ w
    return w / np.sqrt(squared_norm)
