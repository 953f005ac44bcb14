"""decode_step with every optional part, each alone and all together, on every backend.

The judge below is the same network over whole sequences: float64, no cache, a loop over positions
and heads, and none of the kernels' code but the meaning of the codes. Each query sees as many keys
as the cache has places, so that sequences may be longer than the cache.
"""

import itertools
import math

import numpy as np
import pytest
from test_decode import CONTEXT, pack

from kernels import numpy_ref, packing
from kernels.numpy_ref.decode import FARTHEST, NO_TOKEN, LayerWeights, Network

V, C, F, H = 37, 24, 40, 4

# The Network's parts and, under "layer", the LayerWeights': shapes of matrices and vectors, or
# settings; of rotary the coordinates of a head that are turned.
LLAMA = {"position": None, "rotary": 10, "kv_heads": 2, "head_dim": 10, "head": (51, C),
         "norm_kind": "rmsnorm", "activation": "swiglu",
         "layer": {"qkv": (80, C), "proj": (C, 40), "up": (2 * F, C)}}
BIASES = {"qkv_bias": (80,), "proj_bias": (C,), "norm1_bias": (C,), "norm2_bias": (C,),
          "up_bias": (2 * F,), "down_bias": (C,)}
PARTS = {
    "no position": {"position": None},
    "norm biases": {"layer": {"norm1_bias": (C,), "norm2_bias": (C,)}, "norm_bias": (C,)},
    "biases": {"layer": {"qkv_bias": (3 * C,), "proj_bias": (C,), "up_bias": (F,),
                         "down_bias": (C,)}},
    "gate": {"activation": "geglu", "layer": {"up": (2 * F, C)}},
    "gate with biases": {"activation": "swiglu",
                         "layer": {"up": (2 * F, C), "up_bias": (2 * F,), "down_bias": (C,)}},
    "head": {"head": (51, C)},
    "head bias": {"head_bias": (V,)},
    "kv heads": {"kv_heads": 2, "layer": {"qkv": (2 * C, C)}},
    "one kv head": {"kv_heads": 1, "layer": {"qkv": (C + 12, C)}},
    "head dim": {"head_dim": 10, "layer": {"qkv": (120, C), "proj": (C, 40)}},
    "rotary": {"rotary": 6},
    "rotary of a part": {"rotary": 4},
    "relu2": {"activation": "relu2"},
    "relu": {"activation": "relu"},
    "silu": {"activation": "silu"},
    "rmsnorm": {"norm_kind": "rmsnorm", "eps": 0.1},
    "layernorm": {"eps": 0.1},
    "distances": {"bias": (H, CONTEXT)},
    "window": {"window": 3},
    "qk norm": {"eps": 0.1, "layer": {"q_norm": (6,), "k_norm": (6,)}},
    "k norm": {"eps": 0.1, "layer": {"k_norm": (6,)}},
    "post-norm": {"norm_place": "post", "layer": {"norm1_bias": (C,), "norm2_bias": (C,)},
                  "norm_bias": (C,)},
    "softcap": {"softcap": 2.0},
    "smear": {"smear": (C,)},
    "bigrams": {"bigrams": ((V + 1) * V, C)},
    "llama": LLAMA,
    "all": {**LLAMA, "norm_kind": "layernorm", "position": (CONTEXT, C), "head_bias": (51,),
            "norm_bias": (C,), "bias": (H, CONTEXT), "window": 5, "softcap": 5.0,
            "layer": {**LLAMA["layer"], **BIASES, "q_norm": (10,), "k_norm": (10,)},
            "smear": (C,), "bigrams": ((V + 1) * V, C)},
    "all, post-norm": {**LLAMA, "bias": (H, CONTEXT), "norm_place": "post", "softcap": 5.0,
                       "layer": {**LLAMA["layer"], "q_norm": (10,), "k_norm": (10,)}},
}
WHOLE = ["all", "all, post-norm"]
SLIDING = ["no position", "smear", "bigrams", "rotary", "distances", "window", "kv heads",
           "qk norm", "post-norm", "llama", "all, post-norm"]


FLOATS = ("position", "bias")


def network(name, scheme, slides=False):
    """A network of two layers with the parts of that name; slides: and without a position table."""
    rng = np.random.default_rng(0)

    def draw(name, shape):
        array = rng.standard_normal(shape).astype(np.float32) * np.float32(0.3)
        return pack(array, scheme) if len(shape) == 2 and name not in FLOATS else array

    def drawn(parts):
        return {name: draw(name, x) if type(x) is tuple else x for name, x in parts.items()}

    def norm():
        return 1 + draw("norm", (C,))

    parts = dict(PARTS[name])
    inner = {"qkv": (3 * C, C), "proj": (C, C), "up": (F, C), "down": (C, F)}
    inner |= parts.pop("layer", {})
    layers = tuple(LayerWeights(norm1=norm(), norm2=norm(), **drawn(inner)) for _ in range(2))
    settings = {"norm_kind": "layernorm", "activation": "gelu", "position": (CONTEXT, C)} | parts
    if slides:
        settings["position"] = None
    pairs = settings.pop("rotary", 0) // 2
    rates = 30 ** -(np.arange(pairs) / pairs) if pairs else None
    return Network(token=draw("token", (V, C)), layers=layers, norm=norm(), heads=H,
                   rotary=rates, **drawn(settings))


def dense(matrix):
    matrix = packing.dequantize(matrix) if isinstance(matrix, packing.Packed) else matrix
    return matrix.astype(np.float64)


def judged(net, ids, places=CONTEXT):
    """Logits (T, V') after each token of one sequence, each seeing `places` or the window."""
    T, D = len(ids), net.head_dim or C // H
    Hkv, sight = net.kv_heads or H, min(places, net.window or places)

    def apply(x, matrix, bias):
        return x @ dense(matrix).T + (0 if bias is None else bias)

    def rms(x, weight):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + net.eps) * weight

    def normed(x, weight, bias):
        if net.norm_kind == "rmsnorm":
            return rms(x, weight)
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + net.eps)
        return x * weight + (0 if bias is None else bias)

    def activated(x, kind=net.activation):
        if kind in ("swiglu", "geglu"):
            return activated(x[:, :F], {"swiglu": "silu", "geglu": "gelu"}[kind]) * x[:, F:]
        if kind in ("relu", "relu2"):
            return np.where(x > 0, x, 0) ** (2 if kind == "relu2" else 1)
        if kind == "silu":
            return x / (1 + np.exp(-x))
        return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

    def placed(x, t, weight):
        """A head (D,), normed, and turned as a complex number for each pair."""
        x = x if weight is None else rms(x, weight)
        if net.rotary is None:
            return x
        R = len(net.rotary)
        z = (x[:R] + 1j * x[R : 2 * R]) * np.exp(1j * t * net.rotary)
        return np.concatenate([z.real, z.imag, x[2 * R :]])

    def attended(qkv, layer):
        out = np.zeros((T, H * D))
        for t, h in itertools.product(range(T), range(H)):
            kv = h * Hkv // H
            seen = range(max(0, t - sight + 1), t + 1)
            q = placed(qkv[t, h * D :][:D], t, layer.q_norm)
            keys = [placed(qkv[i, (H + kv) * D :][:D], i, layer.k_norm) for i in seen]
            bias = [0 if net.bias is None else net.bias[h, t - i] for i in seen]
            p = np.exp([q @ k / math.sqrt(D) + b for k, b in zip(keys, bias, strict=True)])
            values = qkv[seen, (H + Hkv + kv) * D :][:, :D]
            out[t, h * D : (h + 1) * D] = p / p.sum() @ values
        return out

    def half(x, run, weight, bias):
        if net.norm_place == "post":
            return normed(x + run(x), weight, bias)
        return x + run(normed(x, weight, bias))

    x = dense(net.token)[ids]
    if net.smear is not None:
        x[1:] += net.smear * dense(net.token)[ids[:-1]]
    if net.bigrams is not None:
        x += dense(net.bigrams)[np.concatenate([[0], ids[:-1] + 1]) * V + ids]
    x = x + (0 if net.position is None else net.position[:T])
    if net.norm_place == "post":
        x = normed(x, net.norm, net.norm_bias)
    for layer in net.layers:
        def mix(x, layer=layer):
            qkv = apply(x, layer.qkv, layer.qkv_bias)
            return apply(attended(qkv, layer), layer.proj, layer.proj_bias)

        def mlp(x, layer=layer):
            h = activated(apply(x, layer.up, layer.up_bias))
            return apply(h, layer.down, layer.down_bias)

        x = half(x, mix, layer.norm1, layer.norm1_bias)
        x = half(x, mlp, layer.norm2, layer.norm2_bias)
    if net.norm_place == "pre":
        x = normed(x, net.norm, net.norm_bias)
    logits = apply(x, net.token if net.head is None else net.head, net.head_bias)
    return logits if net.softcap is None else net.softcap * np.tanh(logits / net.softcap)


def caches(net, batch, places=CONTEXT):
    shape = (2, 2, batch, places, net.kv_heads or H, net.head_dim or C // H)
    return np.zeros(shape, np.float32)


def staggered(backend, net, ids, starts, places=CONTEXT):
    """Logits of T tokens of each of B sequences, of which sequence b enters in step starts[b].

    ids: (B, T).  Returns (B, T, V').  Before it enters a row repeats its first position, after its
    end its last one: the key written there is the same again.
    """
    B, T = ids.shape
    keys, values = caches(net, B, places)
    logits = [[] for _ in range(B)]
    for step in range(T + max(starts)):
        at = np.clip(step - np.array(starts), 0, T - 1)
        rows = np.arange(B)
        before = np.where(at, ids[rows, at - 1], NO_TOKEN)
        y = backend.decode_step(ids[rows, at], net, keys, values, at, before=before)
        for b in range(B):
            if len(logits[b]) == at[b] and step >= starts[b]:
                logits[b].append(y[b])
    return np.array(logits)


@pytest.mark.parametrize(
    ("name", "scheme"),
    [*((name, "float32") for name in PARTS),
     *((name, "nf4") for name in ("kv heads", "head", "gate with biases", "llama", *WHOLE))],
)
def test_every_part_means_what_it_says(fast, name, scheme):
    net = network(name, scheme)
    ids = np.random.default_rng(1).integers(0, V, (3, 7))
    for backend in (fast, numpy_ref):
        got = staggered(backend, net, ids, [0, 3, 1])
        for row, tokens in zip(got, ids, strict=True):
            right = judged(net, tokens)
            assert np.abs(row - right).max() < 3e-6 * np.abs(right).max()


@pytest.mark.parametrize(
    ("name", "places"), [("llama", 1), ("llama", 11), *((name, 4) for name in SLIDING)]
)
def test_a_ring_that_has_come_round_shows_the_last_positions(fast, name, places):
    """Rows at different positions, one of which has come round while another has not."""
    net = network(name, "float32", slides=True)
    ids = np.random.default_rng(4).integers(0, V, (2, places + 6))
    for backend in (fast, numpy_ref):
        got = staggered(backend, net, ids, [0, 3], places)
        for row, tokens in zip(got, ids, strict=True):
            right = judged(net, tokens, places)
            assert np.abs(row - right).max() < 1e-5 * np.abs(right).max()


def test_positions_far_on_are_as_exact_as_the_first(fast):
    """What a ring holds depends on distances alone, so all positions may be shifted."""
    net = network("llama", "float32", slides=True)
    ids = np.random.default_rng(5).integers(0, V, 12)
    runs = []
    for start in (0, 35 * 4_000_000):
        keys, values = caches(net, 1, 5)
        runs.append([
            fast.decode_step(token[None], net, keys, values, np.array([start + t]))
            for t, token in enumerate(ids)
        ][8:])  # two layers, of which none sees any more what was never written
    assert np.abs(np.subtract(*runs)).max() < 1e-5 * np.abs(runs[0]).max()


@pytest.mark.parametrize("scheme", ["int8", "int4", "q4_1", "q8_0"])
@pytest.mark.parametrize("name", ["llama", *WHOLE])
def test_packed_networks_with_every_part_equal_the_reference(fast, name, scheme):
    net = network(name, scheme)
    ids = np.random.default_rng(6).integers(0, V, (3, 7))
    got, right = (staggered(each, net, ids, [2, 0, 1]) for each in (fast, numpy_ref))
    error = np.abs(got - right)
    # A tie between two integers may round the other way after another order of sums.
    assert (error > 1e-4).mean() < 0.1 and error.max() < 0.3


@pytest.mark.parametrize("scheme", ["float32", *packing.SCHEMES])
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
        ("head", {"kv_heads": 3}, "3 key heads do not divide 4"),
        ("head", {"kv_heads": 2}, r"qkv \(72, 24\) must be \(48, 24\)"),
        ("head", {"norm_kind": "batchnorm"}, "unknown norm_kind 'batchnorm'"),
        ("head", {"norm_place": "both"}, "unknown norm_place 'both'; choose pre, post"),
        ("head", {"activation": "tanh"}, "unknown activation 'tanh'"),
        ("head", {"activation": "swiglu"}, r"up \(40, 24\) must be \(80, 24\)"),
        ("norm biases", {"norm_kind": "rmsnorm"}, "rmsnorm has no bias"),
        ("head", {"position": np.zeros((CONTEXT, 23))}, r"position \(12, 23\) must be \(12, 24\)"),
        ("head", {"rotary": np.zeros(4)}, r"rotary \(4,\) must be \(R,\), 2 R <= 6"),
        ("head", {"rotary": np.zeros((2, 3))}, r"rotary \(2, 3\) must be \(R,\)"),
        ("head", {"bias": np.zeros((3, 12))}, r"bias \(3, 12\) must be \(4, 12\)"),
        ("head", {"window": 0}, "window must be at least 1"),
        ("head", {"softcap": 0.0}, "softcap must be above 0"),
        ("head", {"head_bias": np.zeros(5)}, r"head_bias \(5,\) must be \(51,\)"),
        ("head", {"norm": np.zeros(5)}, r"norm \(5,\) must be \(24,\)"),
    ],
)
def test_a_part_that_does_not_fit_is_named(name, change, message):
    net = network(name, "float32")
    with pytest.raises(ValueError, match=message):
        Network(**(vars(net) | change))


@pytest.mark.parametrize("part", ["q_norm", "k_norm"])
def test_a_norm_of_heads_that_does_not_fit_is_named(part):
    net = network("qk norm", "float32")
    layer = LayerWeights(**(vars(net.layers[0]) | {part: np.ones(7, np.float32)}))
    with pytest.raises(ValueError, match=rf"{part} \(7,\) must be \(6,\)"):
        Network(**(vars(net) | {"layers": (layer,)}))


def test_a_table_of_positions_ends_the_text(fast):
    net = network("head", "float32")
    short = Network(**(vars(net) | {"position": net.position[:5]}))
    with pytest.raises(ValueError, match="position 5 is outside the 5"):
        fast.decode_step(np.array([0]), short, *caches(net, 1), np.array([5]))


@pytest.mark.parametrize("position", [-1, FARTHEST])
def test_a_position_that_no_angle_is_right_for_is_refused(fast, position):
    net = network("llama", "float32")
    with pytest.raises(ValueError, match=rf"position {position} is outside the {FARTHEST}"):
        fast.decode_step(np.array([0]), net, *caches(net, 1), np.array([position]))


def test_a_cache_that_sees_further_than_the_bias_is_refused(fast):
    net = network("distances", "float32", slides=True)
    with pytest.raises(ValueError, match="bias has 12 distances, a token sees 13"):
        fast.decode_step(np.array([0]), net, *caches(net, 1, 13), np.array([0]))
    windowed = Network(**(vars(net) | {"window": 12}))
    fast.decode_step(np.array([0]), windowed, *caches(net, 1, 13), np.array([0]))


def test_a_cache_without_a_place_is_refused(fast):
    net = network("rotary", "float32", slides=True)
    with pytest.raises(ValueError, match="no place to write to"):
        fast.decode_step(np.array([0]), net, *caches(net, 1, 0), np.array([0]))


@pytest.mark.parametrize(("part", "wanted"), [("rotary", "float64"), ("bias", "float32")])
def test_a_part_of_another_dtype_is_refused(part, wanted):
    net = network("all, post-norm", "float32")
    wrong = getattr(net, part).astype(np.float16)
    with pytest.raises(TypeError, match=f"{part} must be {wanted}, not float16"):
        Network(**(vars(net) | {part: wrong}))


def test_a_part_that_only_a_copy_could_serve_is_refused():
    """What is written to a part later must count in the next step, which a copy would not."""
    net = network("biases", "float32")
    with pytest.raises(ValueError, match="token .* must be C-contiguous"):
        Network(**(vars(net) | {"token": np.asfortranarray(net.token)}))
