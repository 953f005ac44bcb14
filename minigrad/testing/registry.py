"""Every operation with a gradient, with the arguments it takes: a test fails if one is missing.

An entry samples a `Case` from a Source. The samplers say what the domain is (positive values for
log), where shapes may be 0 or broadcast, and which values are worth trying. From one entry follow
all checks of an operation: differences, the reference, every backend, PyTorch, mutations.

To add an operation: write its sampler here, or in vocabulary.py if it is of NumPy's kind; the tests
find it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.testing import vocabulary
from minigrad.testing.entries import REGISTRY, Case, Op, register
from minigrad.testing.source import EVERYWHERE, Source

__all__ = ["REGISTRY", "Case", "Op", "register", "vocabulary"]

# The model's


@register("softmax", "rows with a finite value", "softmax_forward softmax_backward")
def _softmax(s: Source) -> Case:
    shape = (*s.shape(0, 2), s.size())
    return Case((s.array(shape, (*EVERYWHERE, "masked")),))


@register("log_softmax", "rows with a finite value")
def _log_softmax(s: Source) -> Case:
    shape = (*s.shape(0, 2), s.integer(2, 7))
    return Case((s.array(shape, EVERYWHERE),), {"axis": s.choice([-1, 0])})


@register("layernorm", "everywhere (eps keeps a constant row apart from 0)",
          "layernorm_forward layernorm_backward")
def _layernorm(s: Source) -> Case:
    x, (weight, bias) = _rows(s), _vectors(s, 2)
    return Case((x(weight), weight, s.choice([bias, None])))


@register("add_layernorm", "as layernorm", "layernorm_forward layernorm_backward")
def _add_layernorm(s: Source) -> Case:
    x, (weight, bias) = _rows(s), _vectors(s, 2)
    first = x(weight)
    second = s.array(first.shape)
    return Case((first, s.choice([second, None]), weight, s.choice([bias, None])))


@register("rmsnorm", "everywhere (eps keeps a row of zeros apart from 0)",
          "rmsnorm_forward rmsnorm_backward")
def _rmsnorm(s: Source) -> Case:
    x, (weight,) = _rows(s), _vectors(s, 1)
    return Case((x(weight), weight))


@register("add_rmsnorm", "as rmsnorm", "rmsnorm_forward rmsnorm_backward")
def _add_rmsnorm(s: Source) -> Case:
    x, (weight,) = _rows(s), _vectors(s, 1)
    first = x(weight)
    return Case((first, s.choice([s.array(first.shape), None]), weight))


def _rows(s: Source) -> Callable[[np.ndarray], np.ndarray]:
    lead = s.shape(0, 2)
    return lambda weight: s.array((*lead, len(weight)), ("normal", "zeros", "ties", "huge"))


def _vectors(s: Source, count: int) -> list[np.ndarray]:
    channels = s.integer(3, 19) if s.telling else s.choice([1, 2, 3, 7, 8, 9, 16, 17, 33])
    return [s.array((channels,)) for _ in range(count)]


@register("linear", "inner sizes equal", "linear_forward linear_backward")
def _linear(s: Source) -> Case:
    inner, out = s.choice([2, 3, 17] if s.telling else [1, 3, 8, 17]), s.size()
    lead = s.shape(0, 2)
    # relu2 has a continuous derivative, so a row of zeros is no kink.
    activation = s.choice([None, "gelu", "relu2", "silu", "gelu_erf", "swiglu", "geglu"])
    width = 2 * inner if activation in ("swiglu", "geglu") else inner
    x, weight = s.array((*lead, width), ("normal", "ties", "zeros")), s.array((out, inner))
    bias = s.choice([s.array((out,)), None])
    residual = s.choice([None, s.array((*lead, out))])
    return Case((x, weight, bias, activation, residual))


@register("attention", "heads that divide", "attention_forward attention_backward")
def _attention(s: Source) -> Case:
    batch, heads, size = s.integer(1, 2), s.integer(1, 2), s.choice([2, 3, 8])
    group, extra = s.integer(1, 2), s.integer(0, 2)
    time = s.integer(2, 6) if s.telling else s.choice([1, 2, 3, 7, 17])
    kinds = ("normal", "zeros", "ties")
    q, k, v = (
        s.array((batch, length, count, size), kinds)
        for length, count in ((time, heads * group), (time + extra, heads), (time + extra, heads))
    )
    settings = {"causal": s.choice([True, False]), "scale": s.choice([None, 0.5])}
    return _sighted(s, (q, k, v), settings, heads * group, time, time + extra)


@register("self_attention", "heads that divide",
          "attention_forward attention_backward rmsnorm_forward rmsnorm_backward")
def _self_attention(s: Source) -> Case:
    kv_heads, group, size = s.integer(1, 2), s.integer(1, 2), s.choice([2, 3, 8])
    time = s.integer(2, 6) if s.telling else s.choice([1, 2, 3, 7, 17])
    packed = s.array((s.integer(1, 2), time, (group + 2) * kv_heads * size))
    settings = {"heads": group * kv_heads, "kv_heads": kv_heads, "causal": s.choice([True, False])}
    case = _sighted(s, (packed,), settings, group * kv_heads, time, time)
    bias = case.args[1:] or (None,)
    norms = s.choice([(None, None), (s.array((size,)), s.array((size,)))])
    return Case((packed, *bias, *norms), case.settings)


def _sighted(
    s: Source, arrays: tuple[np.ndarray, ...], settings: dict[str, Any], heads: int, queries: int,
    keys: int,
) -> Case:
    """With any of: first and last keys, a bias by distance (an argument), tables that turn."""
    rows, size = arrays[0].shape[0], arrays[-1].shape[-1]
    if "heads" in settings:
        size //= settings["heads"] + 2 * settings["kv_heads"]
    settings["first"] = _first_keys(s, (rows, queries), keys)
    if s.flag():
        settings["last"] = keys - s.ids((rows, queries), 2 if s.telling else keys + 1)
        if s.telling:
            settings["last"][:] = keys
    if s.flag():
        turns = np.arange(keys)[:, None] * np.array([1.0, 0.1])[: size // 2]
        settings["rotary"] = (np.cos(turns).astype(np.float32), np.sin(turns).astype(np.float32))
    if s.flag():
        arrays = (*arrays, s.array((heads, queries + keys - 1)))
    return Case(arrays, settings)


def _first_keys(s: Source, queries: tuple[int, int], keys: int) -> np.ndarray | None:
    """None, or a first key for every query, some with no key left."""
    if not s.flag():
        return None
    first = s.ids(queries, 2 if s.telling else keys + 1)
    if s.telling:
        first[:, -1] = 0  # one key alone has probability 1, and its score no gradient
    return first


@register("cross_entropy", "targets in range", "cross_entropy_forward cross_entropy_backward")
def _cross_entropy(s: Source) -> Case:
    lead, vocabulary = s.shape(0, 2, zero=False), s.choice([2, 5, 17])
    logits = s.array((*lead, vocabulary), ("normal", "zeros", "ties", "huge"))
    return Case((logits, s.ids(lead, vocabulary)), _loss_settings(s))


@register("linear_cross_entropy", "targets in range",
          "linear_cross_entropy_forward linear_cross_entropy_gradients")
def _linear_cross_entropy(s: Source) -> Case:
    rows, channels, vocabulary = s.size(), s.size(), s.choice([2, 5, 17])
    x, weight = s.array((rows, channels), ("normal", "ties")), s.array((vocabulary, channels))
    targets, settings = s.ids((rows,), vocabulary), _loss_settings(s)
    weights = s.choice([None, s.array((rows,), ("normal", "zeros", "ties"))])
    settings["softcap"] = s.choice([None, 1.5])
    return Case((x, weight, targets), {**settings, "weights": weights})


@register("linear_log_probability", "targets in range",
          "linear_log_probability_forward linear_log_probability_backward")
def _linear_log_probability(s: Source) -> Case:
    lead, channels, vocabulary = s.shape(0, 2), s.size(), s.choice([2, 5, 17])
    x, weight = s.array((*lead, channels), ("normal", "ties")), s.array((vocabulary, channels))
    return Case((x, weight, s.ids(lead, vocabulary)), {"softcap": s.choice([None, 1.5])})


def _loss_settings(s: Source) -> dict[str, Any]:
    ignored = None if s.telling else s.choice([None, 0, -100])
    return {"label_smoothing": s.choice([0.0, 0.1]), "ignore_index": ignored}


@register("embedding", "ids in range", "embedding_forward embedding_backward", smooth=False)
def _embedding(s: Source) -> Case:
    rows = s.size()
    return Case((s.array((rows, s.size())), s.ids(s.shape(0, 2), rows)))


@register("dropout", "0 <= p < 1", "dropout_forward dropout_backward", smooth=False)
def _dropout(s: Source) -> Case:
    key = s.integer(0, 2**63 - 1)
    return Case((s.array(s.shape(), EVERYWHERE),), {"p": s.choice([0.1, 0.5, 0.0]), "key": key})
