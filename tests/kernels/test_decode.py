"""decode_step: every backend and instruction set writes the reference's cache and logits."""

from dataclasses import replace

import numpy as np
import pytest

from kernels import numpy_ref, packing, threads
from kernels.numpy_ref.decode import LayerWeights, Network

CONTEXT = 12


def pack(w, scheme):
    """A matrix as float32, or rounded to a scheme without finesse."""
    if scheme == "float32":
        return w
    if scheme == "int8":
        return packing.pack_int8(*numpy_ref.quantize_rows(w))
    group = packing.GROUP[scheme]
    padded = np.pad(w, ((0, 0), (0, -w.shape[1] % group)))
    if scheme in ("q4_1", "q8_0"):
        return pack_blocks(w, padded.reshape(len(w), -1, group), scheme)
    scale = np.abs(padded).reshape(len(w), -1, group).max(axis=-1) / (7 if scheme == "int4" else 1)
    ratio = w / np.repeat(scale, group, axis=1)[:, : w.shape[1]]
    if scheme == "int4":
        codes = np.rint(ratio) + 8
    else:
        codes = np.abs(ratio[..., None] - packing.NF4_LEVELS).argmin(-1)
    panels = packing.scale_panels(scale.astype(np.float32))
    return packing.pack_4bit(scheme, codes.astype(np.uint8), panels)


def pack_blocks(w, blocks, scheme):
    """Likewise, q4_1 or q8_0; blocks: w as (N, G, 32)."""
    if scheme == "q8_0":
        scale = (np.abs(blocks).max(axis=-1) / 127).astype(np.float16)
        codes = np.rint(w / np.repeat(scale, 32, axis=1)[:, : w.shape[1]])
        return packing.pack_q8_0(codes.astype(np.int8), packing.scale_panels(scale))
    low = blocks.min(axis=-1).astype(np.float16)
    step = ((blocks.max(axis=-1) - low) / 15).astype(np.float16)
    codes = np.rint((blocks - low[..., None]) / step[..., None]).clip(0, 15).astype(np.uint8)
    panels = np.stack([packing.scale_panels(step), packing.scale_panels(low)], axis=2)
    return packing.pack_4bit("q4_1", codes.reshape(len(w), -1)[:, : w.shape[1]], panels)


def network(scheme, norm="layernorm", activation="gelu", V=37, C=24, H=3, F=40, layers=2):
    rng = np.random.default_rng(0)

    def draw(*shape):
        return rng.standard_normal(shape).astype(np.float32) * np.float32(0.3)

    blocks = tuple(
        LayerWeights(
            1 + draw(C), pack(draw(3 * C, C), scheme), pack(draw(C, C), scheme),
            1 + draw(C), pack(draw(F, C), scheme), pack(draw(C, F), scheme),
        )
        for _ in range(layers)
    )
    return Network(
        pack(draw(V, C), scheme), draw(CONTEXT, C), blocks, 1 + draw(C), H, norm, activation
    )


def caches(net, batch):
    C = net.token.shape[1]
    shape = (2, len(net.layers), batch, CONTEXT, net.heads, C // net.heads)
    return np.zeros(shape, np.float32)


def steps(backend, net, ids):
    """Logits after each token of ids (T, B), and the caches."""
    keys, values = caches(net, ids.shape[1])
    logits = [
        backend.decode_step(row, net, keys, values, np.full(len(row), t))
        for t, row in enumerate(ids)
    ]
    return np.array(logits), keys, values


@pytest.mark.parametrize("scheme", ["float32", *packing.SCHEMES])
@pytest.mark.parametrize("batch", [1, 3])
def test_decode_step_equals_the_reference(fast, scheme, batch):
    net = network(scheme)
    ids = np.random.default_rng(1).integers(0, 37, (CONTEXT, batch))
    for got, expected in zip(steps(fast, net, ids), steps(numpy_ref, net, ids), strict=True):
        error = np.abs(got - expected)
        if scheme in ("float32", "nf4"):
            assert error.max() < 1e-5
        else:  # a tie between two integers may round the other way after another order of sums
            assert (error > 1e-5).mean() < 0.05 and error.max() < 0.2


@pytest.mark.parametrize(("norm", "activation"), [("rmsnorm", "relu2"), ("layernorm", "relu2")])
def test_decode_step_knows_every_norm_and_activation(fast, norm, activation):
    net = network("float32", norm, activation)
    ids = np.random.default_rng(2).integers(0, 37, (5, 2))
    got, expected = steps(fast, net, ids)[0], steps(numpy_ref, net, ids)[0]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scheme", ["float32", *packing.SCHEMES])
def test_decode_step_takes_widths_that_fill_no_vector(fast, scheme):
    net = network(scheme, V=19, C=21, H=3, F=33, layers=1)
    ids = np.random.default_rng(3).integers(0, 19, (4, 2))
    got, expected = steps(fast, net, ids)[0], steps(numpy_ref, net, ids)[0]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=2e-2)


@pytest.mark.parametrize("scheme", ["float32", "int8"])
def test_logits_do_not_depend_on_the_number_of_threads(fast, scheme):
    net = network(scheme, V=300, C=96, H=3, F=160)
    # So many texts that their step is worth a team (decode.c, DECODE_TEAM_WEIGHTS).
    ids = np.random.default_rng(4).integers(0, 300, (3, 20))
    before = threads.get_num_threads()
    try:
        threads.set_num_threads(1)
        alone = steps(fast, net, ids)[0]
        threads.set_num_threads(3)
        together = steps(fast, net, ids)[0]
    finally:
        threads.set_num_threads(before)
    if fast.__name__ == "kernels.c":
        np.testing.assert_array_equal(alone, together)
    else:  # BLAS may sum in another order
        np.testing.assert_allclose(alone, together, rtol=1e-4, atol=2e-2)


def test_one_network_may_be_used_with_two_caches_in_turn(fast):
    net = network("float32")
    ids = np.random.default_rng(5).integers(0, 37, (6, 1))
    expected = steps(numpy_ref, net, ids)[0]
    a, b = caches(net, 1), caches(net, 1)
    for t, row in enumerate(ids):
        for keys, values in (a, b):
            got = fast.decode_step(row, net, keys, values, np.full(1, t))
            np.testing.assert_allclose(got, expected[t], rtol=1e-4, atol=1e-5)


def test_wrong_arguments_are_named(fast):
    net = network("float32")
    keys, values = caches(net, 1)
    zero, two = np.array([0]), np.array([0, 1])
    fast.decode_step(zero, net, keys, values, zero)  # with and without a table from before
    for _ in range(2):
        with pytest.raises(IndexError, match="id 37 is outside the table of 37"):
            fast.decode_step(np.array([37]), net, keys, values, zero)
        with pytest.raises(ValueError, match="position 12 is outside the 12"):
            fast.decode_step(zero, net, keys, values, np.array([CONTEXT]))
        with pytest.raises(ValueError, match=r"keys must .*\(2, 2, places, 3, 8\), not \(2, 1,"):
            fast.decode_step(two, net, keys, values, two)
        with pytest.raises(ValueError, match=r"positions must have shape \(1,\), not \(2,\)"):
            fast.decode_step(zero, net, keys, values, two)
        with pytest.raises(TypeError, match="float64"):
            fast.decode_step(np.zeros(1), net, keys, values, zero)
        keys, values = caches(net, 1)


def test_ids_and_positions_may_be_of_any_integer_type(fast):
    net, ids = network("float32"), np.array([[3, 7, 5]])
    expected = steps(fast, net, ids)[0][0]
    small = np.array([3, 0, 7, 0, 5, 0], np.int32)[::2]
    got = fast.decode_step(small, net, *caches(net, 3), np.zeros(3, np.uint8))
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("scheme", ["float32", "nf4"])
@pytest.mark.parametrize("activation", ["gelu", "relu2"])
def test_thin_matrices_beside_one_are_their_product_added_to_it(fast, scheme, activation):
    """LoRA's factors: what a step makes of W and U A is what it makes of W + U A."""
    rng = np.random.default_rng(8)
    plain = network(scheme, activation=activation)
    names = ("qkv", "proj", "up", "down")

    def beside(matrix, rank):
        n, k = matrix.shape
        return tuple(
            rng.standard_normal(size).astype(np.float32) * np.float32(0.3)
            for size in ((rank, k), (n, rank))
        )

    layers = tuple(
        replace(layer, **{f"{name}_beside": beside(getattr(layer, name), 3 + 2 * i)
                          for i, name in enumerate(names[at:])})
        for at, layer in enumerate(plain.layers)
    )
    net = replace(plain, layers=layers)
    ids = rng.integers(0, 37, (4, 3))
    found, want = steps(fast, net, ids), steps(numpy_ref, net, ids)
    for ours, right in zip(found, want, strict=True):
        np.testing.assert_allclose(ours, right, rtol=1e-4, atol=5e-5)
    assert np.abs(found[0] - steps(fast, plain, ids)[0]).max() > 0.1
    if scheme == "float32":
        def whole(layer, name):
            A, U = getattr(layer, f"{name}_beside") or (0, 0)
            return getattr(layer, name) + np.dot(U, A)

        merged = replace(net, layers=tuple(
            replace(layer, **{name: whole(layer, name).astype(np.float32) for name in names},
                    **{f"{name}_beside": None for name in names})
            for layer in layers
        ))
        np.testing.assert_allclose(found[0], steps(fast, merged, ids)[0], rtol=1e-4, atol=1e-4)


def test_thin_matrices_of_other_sizes_are_refused():
    layer = network("float32").layers[0]
    A, U = np.zeros((2, 24), np.float32), np.zeros((72, 3), np.float32)
    with pytest.raises(ValueError, match="qkv_beside's U"):
        replace(network("float32"), layers=(replace(layer, qkv_beside=(A, U)),))
