"""The checks of the Python boundary, written once for every backend.

A kernel's wrapper calls these before it touches memory; the compiled code then trusts its
arguments. Each message names both shapes, or the value that is wrong.
"""

from __future__ import annotations

import numpy as np

ACTIVATIONS = ("gelu", "relu2", "silu", "relu")  # of linear; C numbers them so, from 1 on
GATED = {"swiglu": "silu", "geglu": "gelu"}  # act(first half) times the second half


def floating(op: str, **arrays) -> None:
    """Raise TypeError unless all arrays are of one floating dtype; None entries are passed over."""
    first = None
    for name, array in arrays.items():
        if array is None:
            continue
        if array.dtype.kind != "f":
            raise TypeError(f"{op}: {name} must be floating point, not {array.dtype}")
        if first is None:
            first = name
        elif array.dtype != arrays[first].dtype:
            raise TypeError(
                f"{op}: {first} is {arrays[first].dtype} but {name} is {array.dtype}; cast one"
            )


def same_shape(op: str, **arrays) -> None:
    """Raise ValueError unless all arrays have one shape; None entries are passed over."""
    given = [array.shape for array in arrays.values() if array is not None]
    if given.count(given[0]) != len(given):
        listed = [f"{name} {array.shape}" for name, array in arrays.items() if array is not None]
        raise ValueError(f"{op}: shapes differ: {', '.join(listed)}")


def vector(op: str, size: int, **arrays) -> None:
    """Raise ValueError unless each array has shape (size,); None entries are passed over."""
    for name, array in arrays.items():
        if array is not None and array.shape != (size,):
            raise ValueError(f"{op}: {name} must have shape ({size},), not {array.shape}")


def in_place(op: str, **arrays) -> None:
    """Raise ValueError unless all arrays are C-contiguous, which writing to them as one needs."""
    for name, array in arrays.items():
        if not array.flags.c_contiguous:
            raise ValueError(f"{op}: {name} {array.shape} is updated in place: make it contiguous")


def matmul(a: np.ndarray, b: np.ndarray) -> None:
    """a (..., M, K) and b (..., K, N): at least two axes each and equal inner sizes."""
    if a.ndim < 2 or b.ndim < 2:
        raise ValueError(f"matmul: both need at least two axes: a {a.shape}, b {b.shape}")
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"matmul: inner sizes differ: a {a.shape}, b {b.shape}")


def linear(x, weight, bias=None, residual=None, activation=None) -> None:
    """x (..., in), or (..., 2 in) if gated, weight (out, in), bias (out,), residual (..., out), a
    known activation."""
    floating("linear", x=x, weight=weight, bias=bias, residual=residual)
    if activation not in (None, *ACTIVATIONS, *GATED):
        choices = ", ".join((*ACTIVATIONS, *GATED))
        raise ValueError(f"linear: unknown activation {activation!r}; choose {choices} or None")
    if weight.ndim != 2 or x.ndim < 1 or x.shape[-1] != inputs(weight, activation):
        gated = f" after {activation}, which halves it" if activation in GATED else ""
        raise ValueError(f"linear: x {x.shape} does not fit weight (out, in) {weight.shape}{gated}")
    vector("linear", weight.shape[0], bias=bias)
    if residual is not None and residual.shape != (*x.shape[:-1], weight.shape[0]):
        raise ValueError(
            f"linear: residual {residual.shape} must be {(*x.shape[:-1], weight.shape[0])}"
        )


def inputs(weight, activation) -> int:
    """Numbers in a row of linear's x, for a weight (out, in)."""
    return weight.shape[1] * (2 if activation in GATED else 1)


def linear_backward(dy, x, weight, activation, wants) -> None:
    """dy (..., out) and x, as given to linear, fit weight (out, in); x is there if what is wanted
    reads it."""
    floating("linear", dy=dy, x=x, weight=weight)
    right = (*dy.shape[:-1], inputs(weight, activation))
    if dy.shape[-1:] != weight.shape[:1] or (x is not None and x.shape != right):
        given = None if x is None else x.shape
        raise ValueError(f"linear: dy {dy.shape} does not fit x {given}, weight {weight.shape}")
    if x is None and (wants[1] or (wants[0] and activation is not None)):
        raise ValueError("linear: dweight and the derivative of an activation need x, not None")


def attention(q, k, v, first=None, last=None, bias=None, rotary=None) -> None:
    """q (B, Tq, H, D); k and v (B, Tk, Hkv, D); Hkv divides H; first, last (B, Tq) int in [0, Tk];
    bias (H, Tq + Tk - 1); rotary: two tables (at least Tk, R), 2 R <= D, and no more queries than
    keys."""
    floating("attention", q=q, k=k, v=v, bias=bias)
    same_shape("attention", k=k, v=v)
    if q.ndim != 4 or k.ndim != 4:
        raise ValueError(f"attention: q and k need four axes (B, T, H, D): {q.shape}, {k.shape}")
    if q.shape[0] != k.shape[0] or q.shape[3] != k.shape[3]:
        raise ValueError(f"attention: batch or head sizes differ: q {q.shape}, k {k.shape}")
    if k.shape[2] == 0 or q.shape[2] % k.shape[2]:
        raise ValueError(f"attention: {k.shape[2]} key heads do not divide {q.shape[2]} heads")
    if first is not None:
        _keys("first", first, q.shape[:2], k.shape[1])
    if last is not None:
        _keys("last", last, q.shape[:2], k.shape[1])
    if bias is not None:
        shape = (q.shape[2], max(q.shape[1] + k.shape[1] - 1, 0))
        if bias.shape != shape:
            raise ValueError(
                f"attention: bias {bias.shape} must have a number a head and distance, {shape}"
            )
    if rotary is not None:
        _rotary(rotary, q, k)


def _keys(name, keys, shape, count) -> None:
    """One key of each query: (B, Tq) int in [0, Tk]."""
    if keys.dtype.kind not in "iu":
        raise TypeError(f"attention: {name} must be integers, not {keys.dtype}")
    if keys.shape != shape:
        raise ValueError(f"attention: {name} {keys.shape} must have q's (B, Tq), {shape}")
    outside = (keys < 0) | (keys > count)
    if outside.any():
        wrong = int(keys[outside].flat[0])
        raise ValueError(f"attention: {name} key {wrong} is outside 0 to {count}, the keys")


def _rotary(rotary, q, k) -> None:
    """Two tables of one shape (at least Tk, R), 2 R <= D."""
    cos, sin = rotary
    floating("attention", cos=cos, sin=sin)
    same_shape("attention", cos=cos, sin=sin)
    if cos.ndim != 2 or len(cos) < k.shape[1] or 2 * cos.shape[1] > q.shape[3]:
        raise ValueError(
            f"attention: rotary tables {cos.shape} must be (positions, R), for {k.shape[1]} "
            f"positions and 2 R <= {q.shape[3]}"
        )
    if q.shape[1] > k.shape[1]:
        raise ValueError(
            f"attention: {q.shape[1]} queries have no positions among {k.shape[1]} keys; rotary "
            "needs at least as many keys"
        )


def ids(op: str, ids: np.ndarray, size: int, ignore_index: int | None = None) -> None:
    """Raise TypeError unless integers, IndexError naming the first id outside [0, size)."""
    if ids.dtype.kind not in "iu":
        raise TypeError(f"{op}: ids must be integers, not {ids.dtype}")
    outside = (ids < 0) | (ids >= size)
    if ignore_index is not None:
        outside &= ids != ignore_index
    if outside.any():
        wrong = int(ids[outside].flat[0])
        raise IndexError(f"{op}: id {wrong} is outside the table of {size} rows (0 to {size - 1})")


def cross_entropy(logits, targets, label_smoothing, ignore_index) -> None:
    """logits (R, V) float, targets (R,) int within [0, V) or ignore_index, smoothing in [0, 1)."""
    floating("cross_entropy", logits=logits)
    if logits.ndim != 2 or targets.shape != logits.shape[:1]:
        raise ValueError(
            f"cross_entropy: logits (R, V) {logits.shape} do not fit targets (R,) {targets.shape}"
        )
    smoothing(label_smoothing)
    ids("cross_entropy", targets, logits.shape[1], ignore_index)


def smoothing(label_smoothing: float) -> None:
    """Raise ValueError unless 0 <= label_smoothing < 1."""
    if not 0.0 <= label_smoothing < 1.0:
        raise ValueError(f"label_smoothing must be in [0, 1), not {label_smoothing}")


def linear_cross_entropy(x, weight, targets, label_smoothing, ignore_index, weights=None) -> None:
    """x (R, C), weight (V, C), targets (R,) int within [0, V) or ignore_index, weights (R,)."""
    floating("linear_cross_entropy", x=x, weight=weight, weights=weights)
    projected("linear_cross_entropy", x, weight, targets, ignore_index)
    vector("linear_cross_entropy", x.shape[0], weights=weights)
    smoothing(label_smoothing)


def linear_log_probability(x, weight, targets, dy=None) -> None:
    """x (R, C), weight (V, C), targets (R,) int within [0, V), dy (R,)."""
    floating("linear_log_probability", x=x, weight=weight, dy=dy)
    projected("linear_log_probability", x, weight, targets)
    vector("linear_log_probability", x.shape[0], dy=dy)


def projected(op: str, x, weight, targets, ignore_index: int | None = None) -> None:
    """Raise unless logits x W^T have a row for each target and a column for each value of it."""
    if x.ndim != 2 or weight.ndim != 2 or x.shape[1] != weight.shape[1]:
        raise ValueError(f"{op}: x (R, C) {x.shape} does not fit weight (V, C) {weight.shape}")
    if targets.shape != x.shape[:1]:
        raise ValueError(f"{op}: x (R, C) {x.shape} does not fit targets (R,) {targets.shape}")
    ids(op, targets, weight.shape[0], ignore_index)


def probability(op: str, p: float) -> None:
    """Raise ValueError unless 0 <= p < 1."""
    if not 0.0 <= p < 1.0:
        raise ValueError(f"{op}: the probability must be in [0, 1), not {p}")


def packed(op: str, x, weight, scheme: str) -> None:
    """x (..., K) fits a packed weight (N, K) of the scheme."""
    if weight.scheme != scheme:
        raise ValueError(f"{op}: the weight is packed as {weight.scheme}, not {scheme}")
    if x.ndim < 1 or x.shape[-1] != weight.shape[1]:
        raise ValueError(f"{op}: x {x.shape} does not fit weight (N, K) {weight.shape}")


def packed_backward(dy, weight) -> None:
    """dy (..., N) fits a packed weight (N, K)."""
    floating("linear_packed", dy=dy)
    if dy.ndim < 1 or dy.shape[-1] != weight.shape[0]:
        raise ValueError(f"linear_packed: dy {dy.shape} does not fit weight (N, K) {weight.shape}")
