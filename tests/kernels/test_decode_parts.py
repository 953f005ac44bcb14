"""decode_step with every optional part, each alone and all together, on every backend.

The judge below is the same network over whole sequences: float64, no cache, a loop over positions
and heads, and none of the kernels' code but the meaning of the codes.
"""

import itertools
import math

import numpy as np
import pytest
from test_decode import CONTEXT, pack

from kernels import numpy_ref, packing
from kernels.numpy_ref.decode import LayerWeights, Network

V, C, F, H = 37, 24, 40, 4

# The Network's parts and, under "layer", the LayerWeights': shapes of matrices and vectors, or
# settings; of rotary the coordinates of a head.
PARTS = {
    "no position": {"position": None},
    "norm biases": {"layer": {"norm1_bias": (C,), "norm2_bias": (C,)}, "norm_bias": (C,)},
    "biases": {"layer": {"qkv_bias": (3 * C,), "proj_bias": (C,), "up_bias": (F,),
                         "down_bias": (C,)}},
    "gate": {"layer": {"gate": (F, C)}},
    "head": {"head": (51, C)},
    "head bias": {"head_bias": (V,)},
    "kv heads": {"kv_heads": 2, "layer": {"qkv": (2 * C, C)}},
    "one kv head": {"kv_heads": 1, "layer": {"qkv": (C + 12, C)}},
    "head dim": {"head_dim": 10, "layer": {"qkv": (120, C), "proj": (C, 40)}},
    "rotary": {"rotary": 6},
    "relu2": {"activation": "relu2"},
    "silu": {"activation": "silu"},
    "rmsnorm": {"norm_kind": "rmsnorm"},
    "llama": {"position": None, "rotary": 10, "kv_heads": 2, "head_dim": 10, "head": (51, C),
              "norm_kind": "rmsnorm", "activation": "silu",
              "layer": {"qkv": (80, C), "proj": (C, 40), "gate": (F, C)}},
    "all": {"rotary": 10, "kv_heads": 2, "head_dim": 10, "head": (51, C), "head_bias": (51,),
            "norm_bias": (C,),
            "layer": {"qkv": (80, C), "qkv_bias": (80,), "proj": (C, 40), "proj_bias": (C,),
                      "norm1_bias": (C,), "norm2_bias": (C,), "gate": (F, C), "up_bias": (F,),
                      "down_bias": (C,)}},
}


def network(name, scheme):
    """A network of two layers with the parts of that name."""
    rng = np.random.default_rng(0)

    def draw(name, shape):
        array = rng.standard_normal(shape).astype(np.float32) * np.float32(0.3)
        return pack(array, scheme) if len(shape) == 2 and name != "position" else array

    def drawn(parts):
        return {name: draw(name, x) if type(x) is tuple else x for name, x in parts.items()}

    def norm():
        return 1 + draw("norm", (C,))

    parts = dict(PARTS[name])
    inner = {"qkv": (3 * C, C), "proj": (C, C), "up": (F, C), "down": (C, F)}
    inner |= parts.pop("layer", {})
    layers = tuple(LayerWeights(norm1=norm(), norm2=norm(), **drawn(inner)) for _ in range(2))
    settings = {"norm_kind": "layernorm", "activation": "gelu", "position": (CONTEXT, C)} | parts
    turns = settings.pop("rotary", 0)
    return Network(token=draw("token", (V, C)), layers=layers, norm=norm(), heads=H,
                   rotary=tables(turns) if turns else None, **drawn(settings))


def tables(size):
    """cos and sin of the angles of `size` coordinates."""
    half = size // 2
    angles = np.arange(CONTEXT)[:, None] / 30 ** (np.arange(half) / half)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def dense(matrix):
    matrix = packing.dequantize(matrix) if isinstance(matrix, packing.Packed) else matrix
    return matrix.astype(np.float64)


def judged(net, ids):
    """Logits (T, V') after each token of one sequence."""
    T, D = len(ids), net.head_dim or C // H
    Hkv = net.kv_heads or H

    def apply(x, matrix, bias):
        return x @ dense(matrix).T + (0 if bias is None else bias)

    def normed(x, weight, bias):
        if net.norm_kind == "rmsnorm":
            return x / np.sqrt((x * x).mean(-1, keepdims=True) + net.eps) * weight
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + net.eps)
        return x * weight + (0 if bias is None else bias)

    def activated(x):
        if net.activation == "relu2":
            return np.where(x > 0, x, 0) ** 2
        if net.activation == "silu":
            return x / (1 + np.exp(-x))
        return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

    def turned(x, t):
        """Of one head (D,), as a complex number for each pair."""
        if net.rotary is None:
            return x
        turn = net.rotary[0][t].astype(np.float64) + 1j * net.rotary[1][t]
        z = (x[: D // 2] + 1j * x[D // 2 :]) * turn
        return np.concatenate([z.real, z.imag])

    def attended(qkv):
        out = np.zeros((T, H * D))
        for t, h in itertools.product(range(T), range(H)):
            kv = h * Hkv // H
            q = turned(qkv[t, h * D :][:D], t)
            keys = [turned(qkv[i, (H + kv) * D :][:D], i) for i in range(t + 1)]
            p = np.exp([q @ k / math.sqrt(D) for k in keys])
            values = qkv[: t + 1, (H + Hkv + kv) * D :][:, :D]
            out[t, h * D : (h + 1) * D] = p / p.sum() @ values
        return out

    x = dense(net.token)[ids] + (0 if net.position is None else net.position[:T])
    for layer in net.layers:
        qkv = apply(normed(x, layer.norm1, layer.norm1_bias), layer.qkv, layer.qkv_bias)
        x = x + apply(attended(qkv), layer.proj, layer.proj_bias)
        h = normed(x, layer.norm2, layer.norm2_bias)
        up = apply(h, layer.up, layer.up_bias)
        h = activated(up) if layer.gate is None else activated(apply(h, layer.gate, None)) * up
        x = x + apply(h, layer.down, layer.down_bias)
    head = net.token if net.head is None else net.head
    return apply(normed(x, net.norm, net.norm_bias), head, net.head_bias)


def caches(net, batch):
    shape = (2, 2, batch, CONTEXT, net.kv_heads or H, net.head_dim or C // H)
    return np.zeros(shape, np.float32)


def staggered(backend, net, ids, starts):
    """Logits of T tokens of each of B sequences, of which sequence b enters in step starts[b].

    ids: (B, T).  Returns (B, T, V').  Before it enters a row repeats its first position, after its
    end its last one: the key written there is the same again.
    """
    B, T = ids.shape
    keys, values = caches(net, B)
    logits = [[] for _ in range(B)]
    for step in range(T + max(starts)):
        at = np.clip(step - np.array(starts), 0, T - 1)
        y = backend.decode_step(ids[np.arange(B), at], net, keys, values, at)
        for b in range(B):
            if len(logits[b]) == at[b] and step >= starts[b]:
                logits[b].append(y[b])
    return np.array(logits)


@pytest.mark.parametrize("scheme", ["float32", "nf4"])
@pytest.mark.parametrize("name", PARTS)
def test_every_part_means_what_it_says(fast, name, scheme):
    net = network(name, scheme)
    ids = np.random.default_rng(1).integers(0, V, (3, 7))
    for backend in (fast, numpy_ref):
        got = staggered(backend, net, ids, [0, 3, 1])
        for row, tokens in zip(got, ids, strict=True):
            right = judged(net, tokens)
            assert np.abs(row - right).max() < 3e-6 * np.abs(right).max()


@pytest.mark.parametrize("scheme", ["int8", "int4"])
@pytest.mark.parametrize("name", ["llama", "all"])
def test_packed_networks_with_every_part_equal_the_reference(fast, name, scheme):
    net = network(name, scheme)
    ids = np.random.default_rng(2).integers(0, V, (3, 7))
    got, right = (staggered(each, net, ids, [2, 0, 1]) for each in (fast, numpy_ref))
    error = np.abs(got - right)
    # A tie between two integers may round the other way after another order of sums.
    assert (error > 1e-4).mean() < 0.1 and error.max() < 0.3


@pytest.mark.parametrize("scheme", ["float32", "int8", "int4", "nf4"])
def test_a_row_does_not_see_the_others(fast, scheme):
    """Rows at different positions together, and each alone: the same."""
    net = network("all", scheme)
    ids = np.random.default_rng(3).integers(0, V, (3, 6))
    together = staggered(fast, net, ids, [0, 4, 2])
    alone = np.concatenate([staggered(fast, net, ids[b : b + 1], [0]) for b in range(3)])
    if fast.__name__ == "kernels.c":
        np.testing.assert_array_equal(together, alone)
    else:  # BLAS sums one row and three in different orders, and codes may round the other way
        np.testing.assert_allclose(
            together, alone, rtol=1e-4, atol=0.2 if "int" in scheme else 1e-5
        )


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("gate", {"kv_heads": 3}, "3 key heads do not divide 4"),
        ("gate", {"kv_heads": 2}, r"qkv \(72, 24\) must be \(48, 24\)"),
        ("gate", {"norm_kind": "batchnorm"}, "unknown norm 'batchnorm'"),
        ("gate", {"activation": "tanh"}, "unknown activation 'tanh'"),
        ("norm biases", {"norm_kind": "rmsnorm"}, "rmsnorm has no bias"),
        ("gate", {"position": np.zeros((CONTEXT, 23))}, r"position \(12, 23\) must be \(12, 24\)"),
        ("gate", {"rotary": np.zeros((2, 12, 4), np.float32)}, r"rotary \(12, 4\) must be"),
        ("gate", {"head_bias": np.zeros(5)}, r"head_bias \(5,\) must be \(37,\)"),
        ("gate", {"norm": np.zeros(5)}, r"norm \(5,\) must be \(24,\)"),
    ],
)
def test_a_part_that_does_not_fit_is_named(name, change, message):
    net = network(name, "float32")
    with pytest.raises(ValueError, match=message):
        Network(**(vars(net) | change))


def test_a_table_ends_the_context_before_the_cache_does(fast):
    net = network("rotary", "float32")
    short = Network(**(vars(net) | {"rotary": tuple(table[:5] for table in net.rotary)}))
    with pytest.raises(ValueError, match="position 5 is outside the 5"):
        fast.decode_step(np.array([0]), short, *caches(net, 1), np.array([5]))


def test_tables_in_float64_are_refused():
    net = network("rotary", "float32")
    with pytest.raises(TypeError, match="float32, not float64"):
        Network(**(vars(net) | {"rotary": tuple(t.astype(np.float64) for t in net.rotary)}))


def test_a_part_that_only_a_copy_could_serve_is_refused():
    """What is written to a part later must count in the next step, which a copy would not."""
    net = network("biases", "float32")
    with pytest.raises(ValueError, match="token .* must be C-contiguous"):
        Network(**(vars(net) | {"token": np.asfortranarray(net.token)}))
