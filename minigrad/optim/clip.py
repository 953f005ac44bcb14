"""Gradient clipping by global norm (Pascanu et al. 2013)."""

from __future__ import annotations

import math
from collections.abc import Iterable

from kernels import active
from minigrad.tensor import Tensor


def global_norm(params: Iterable[Tensor]) -> float:
    """L2 norm of all gradients taken as one vector; parameters without one count nothing."""
    grads = [param.grad for param in params if param.grad is not None]
    return math.sqrt(active.sum_of_squares(grads))


def clip_scale(norm: float, max_norm: float | None) -> float:
    """The factor that brings gradients of a global norm down to max_norm; 1.0 if none is too long.

    max_norm: None for no limit.
    """
    return 1.0 if max_norm is None or norm <= max_norm else max_norm / norm


def clip_grad_norm(params: Iterable[Tensor], max_norm: float) -> tuple[float, float]:
    """(norm, scale): the global norm, and the factor that brings it down to max_norm.

    The gradients are not written: pass the factor on, optimizer.step(grad_scale=scale), and the
    update multiplies by it while it reads them anyway.
    """
    norm = global_norm(params)
    return norm, clip_scale(norm, max_norm)
