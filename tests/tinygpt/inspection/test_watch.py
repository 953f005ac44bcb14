"""What is seen is what happens: against the model's own forward, for every kind of shape."""

import numpy as np
import pytest

from minigrad import nn, no_grad
from tests.tinygpt.inspection.conftest import SHAPES, model_of
from tinygpt.adapters import adapt
from tinygpt.adapters.config import MethodConfig
from tinygpt.errors import UserError
from tinygpt.inspection import watch, watch_pair


@pytest.mark.parametrize("name", SHAPES)
def test_watching_changes_no_bit_and_leaves_nothing_behind(name, ids):
    model = model_of(name)
    with no_grad():
        before = model(ids[None]).data[0]
    seen = watch(model, ids)
    assert np.array_equal(seen.logits, before)
    assert not any("forward" in vars(module) for module in model.modules())
    assert len(seen.layers) == 3


@pytest.mark.parametrize("name", SHAPES)
def test_the_maps_explain_what_each_head_read(name, ids):
    """The kernels keep no map: rows of the reference's, times the values, are what they made."""
    for layer in watch(model_of(name), ids).layers:
        found = layer.attention
        scores, weights = found.maps()
        group = found.heads[0] // found.heads[1]
        values = np.repeat(found.v, group, axis=1)  # (T, Hkv, D) -> (T, H, D)
        np.testing.assert_allclose(
            np.einsum("hqk,khd->qhd", weights, values), found.read, atol=1e-5
        )
        np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-6)
        e = np.exp(scores - scores.max(axis=-1, keepdims=True))
        np.testing.assert_allclose(e / e.sum(axis=-1, keepdims=True), weights, atol=1e-6)


@pytest.mark.parametrize("name", ["gpt", "llama", "biases", "shared"])
def test_a_stream_is_the_sum_of_what_was_added_to_it(name, ids):
    seen = watch(model_of(name), ids)
    stream = seen.start.astype(np.float64)
    for layer in seen.layers:
        stream = stream + layer.attended + layer.mlp
        np.testing.assert_allclose(layer.stream, stream, atol=1e-5)


def test_a_masked_score_is_minus_infinity_and_a_window_hides_what_is_far(ids):
    scores, _ = watch(model_of("window"), ids).layers[0].attention.maps()
    far = np.arange(20)[:, None] - np.arange(20)
    assert np.array_equal(np.isneginf(scores[0]), (far < 0) | (far >= 5))


@pytest.mark.parametrize("name", ["gpt", "biases", "bert"])
def test_a_head_switched_off_is_one_whose_values_are_zero(name, ids):
    model, layer, head = model_of(name), 1, 2
    seen = watch(model, ids, [(layer, head)])
    qkv, size = model.blocks[layer].attention.qkv, 8
    rows = slice(2 * 32 + head * size, 2 * 32 + (head + 1) * size)  # of its values
    qkv.weight.data[rows] = 0
    if qkv.bias is not None:
        qkv.bias.data[rows] = 0
    np.testing.assert_allclose(seen.logits, watch(model, ids).logits, atol=1e-6)
    assert not np.allclose(seen.logits, watch(model_of(name), ids).logits, atol=1e-3)


def test_of_a_shared_block_one_layer_alone_is_switched_off(ids):
    model = model_of("shared")
    off, whole = watch(model, ids, [(1, 0)]), watch(model, ids)
    assert np.array_equal(off.layers[0].stream, whole.layers[0].stream)
    assert not off.layers[1].attention.read[:, 0].any()
    assert off.layers[2].attention.read[:, 0].any()


def test_an_int8_model_is_seen_as_it_computes(ids):
    model = model_of("gpt")
    nn.replace_modules(
        model, lambda name, m: type(m) is nn.Linear,
        lambda m: nn.QuantizedLinear.from_linear(m, "int8"),
    )
    with no_grad():
        expected = model(ids[None]).data[0]
    assert np.array_equal(watch(model, ids).logits, expected)


@pytest.mark.parametrize("method", ["lora", "bottleneck", "prompt"])
def test_adapters_are_seen_at_work(method, ids):
    model = model_of("gpt")
    adapt(model, MethodConfig(name=method), np.random.default_rng(3))
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.05
    with no_grad():
        expected = model.eval()(ids[None, :8]).data[0]
    assert np.array_equal(watch(model, ids[:8]).logits, expected)


def test_learned_keys_are_no_tokens(ids):
    model = model_of("gpt")
    adapt(model, MethodConfig(name="prefix"), np.random.default_rng(3))
    seen = watch(model, ids[:8])
    with pytest.raises(UserError, match="prefix tuning"):
        seen.layers[0].attention.maps()


def test_an_encoder_decoder_is_seen_in_both_halves_and_across(ids):
    model = model_of("t5", family="t5")
    seen = watch_pair(model, ids[:9], ids[9:16])
    with no_grad():
        expected = model(ids[None, :9], np.array([9]), ids[None, 9:16]).data[0]
    assert np.array_equal(seen.logits, expected)
    assert seen.source is not None and len(seen.source.layers) == 3
    for layer in seen.layers:
        _, weights = layer.cross.maps()
        assert weights.shape == (4, 7, 9)
        values = np.einsum("hqk,khd->qhd", weights, layer.cross.v)
        np.testing.assert_allclose(values, layer.cross.read, atol=1e-5)


def test_what_cannot_be_watched_is_said_in_a_sentence(ids):
    model = model_of("gpt")
    with pytest.raises(UserError, match="has 25 tokens, and from 1 to 24 fit"):
        watch(model, np.zeros(25, int))
    with pytest.raises(UserError, match="has 0 tokens"):
        watch(model, [])
    with pytest.raises(UserError, match="no head 4 in layer 0"):
        watch(model, ids, [(0, 4)])
    with pytest.raises(UserError, match="read a source"):
        watch(model_of("t5", family="t5"), ids)
