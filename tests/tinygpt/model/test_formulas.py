"""Every switch of the shape against its formula: plain_decoder.py, which shares no code with it."""

import dataclasses
import itertools

import numpy as np
import pytest

from minigrad import Tensor, nn, no_grad
from tests.tinygpt.model.plain_decoder import (
    BUCKET_BEGINS,
    HALF_BEGINS,
    SLOPES,
    PlainDecoder,
    bucket,
)
from tests.tinygpt.model.test_families import IDS, SHAPES, TINY, model_of, shape_of
from tinygpt.config import structure
from tinygpt.model.positions import alibi_slopes, buckets
from tinygpt.model.shape import ModelShape

SIX = {"n_heads": 6, "d_model": 36}
CASES = {name: dataclasses.asdict(shape_of(name)) for name in SHAPES}
CASES |= {
    "eps": TINY | {"eps": 0.3, "bias": "all"},
    "eps of heads": TINY | {"eps": 0.3, "norm": "rmsnorm", "qk_norm": True},
    "alibi_scale": TINY | {"positions": "alibi", "alibi_scale": 4.0},
    "rope_theta": TINY | {"positions": "rope", "rope_theta": 30.0},
    "rope, heads apart": TINY | {"positions": "rope", "head_dim": 6, "n_kv_heads": 2},
    "six heads of alibi": TINY | SIX | {"positions": "alibi", "n_kv_heads": 3},
    "six heads of three": TINY | SIX | {"n_kv_heads": 2, "window": 4},
    "relative, far": TINY | {"positions": "relative", "context": 40},
    "three layers of two": TINY | {"n_layers": 3, "n_blocks": 2},
}


def both(name):
    """Our model with weights in which nothing is 0 or 1, and the plain one that has them too."""
    model = model_of(structure(ModelShape, CASES[name], "model.")).eval()
    return model, plain(model)


def plain(model, weights=None):
    arrays = weights or {name: p.data for name, p in model.named_parameters()}
    return PlainDecoder(arrays, model.shape, model.positions.sinusoids)


@pytest.mark.parametrize("name", CASES)
def test_logits_are_the_formulas(name):
    model, oracle = both(name)
    ids = np.resize(IDS, (1, model.shape.context))
    with no_grad():
        found = model(ids).data[0]
    np.testing.assert_allclose(found, oracle.logits(ids[0]), rtol=0, atol=5e-5)


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_the_formulas(name):
    """Along one direction in the space of all weights, by central differences in float64."""
    model, oracle = both(name)
    ids, targets = IDS[:1, :11], IDS[1:, :11]
    model.loss(ids, targets).backward()
    rng, along, slope = np.random.default_rng(3), {}, 0.0
    for parameter, p in model.named_parameters():
        along[parameter] = rng.normal(0, 1, p.shape)
        slope += np.sum(p.grad * along[parameter], dtype=np.float64)

    def loss(step):
        moved = {key: w + step * along[key] for key, w in oracle.w.items()}
        y = plain(model, moved).logits(ids[0])
        log_sum = np.log(np.exp(y).sum(-1))
        return np.mean(log_sum - y[np.arange(len(y)), targets[0]])

    step = 1e-6
    assert slope == pytest.approx((loss(step) - loss(-step)) / (2 * step), rel=1e-4, abs=1e-4)


def test_an_eps_of_a_millionth_is_not_ten_of_them():
    """Where the stream is small, as it is when training begins."""
    for norm in ("layernorm", "rmsnorm"):
        model = model_of(ModelShape(**TINY, norm=norm, eps=1e-6, positions="none")).eval()
        model.token_embedding.weight.data *= 1e-2
        with no_grad():
            found = model(IDS[:1]).data[0]
        right = plain(model).logits(IDS[0])
        np.testing.assert_allclose(found, right, rtol=0, atol=1e-5 * np.abs(right).max())


@pytest.mark.parametrize(
    ("family", "eps", "theta"),
    [("gpt2", 1e-5, None), ("llama", 1e-5, 1e4), ("qwen2", 1e-6, 1e6), ("qwen3", 1e-6, 1e6),
     ("mistral", 1e-5, 1e4), ("mpt", 1e-5, None)],
)
def test_a_family_has_the_numbers_of_its_checkpoints(family, eps, theta):
    shape = structure(ModelShape, {"family": family}, "model.")
    assert shape.eps == eps
    assert theta is None or (shape.positions, shape.rope_theta) == ("rope", theta)


@pytest.mark.parametrize("heads", SLOPES)
def test_slopes_are_the_papers(heads):
    np.testing.assert_array_equal(alibi_slopes(heads), np.array(SLOPES[heads], np.float32))


def test_buckets_of_a_decoder_hold_only_the_past():
    past = np.arange(300)
    assert buckets(past, both_ways=False).tolist() == [bucket(d) for d in past]
    assert not buckets(-past, both_ways=False).any()
    assert bucket(BUCKET_BEGINS[-1]) == bucket(299) == 31


def test_buckets_of_an_encoder_tell_the_past_from_what_follows():
    away = np.arange(300)
    right = np.searchsorted(HALF_BEGINS, away, side="right") - 1
    np.testing.assert_array_equal(buckets(away, both_ways=True), right)
    np.testing.assert_array_equal(buckets(-away[1:], both_ways=True), right[1:] + 16)


@pytest.mark.parametrize("causal", [True, False])
def test_packed_documents_are_what_each_is_alone(causal):
    """Outputs and gradients, with edges after 1, 6 and 7 tokens."""
    edges = [0, 1, 6, 7, 12]
    rng = np.random.default_rng(4)
    layer = nn.SelfAttention(24, 4, n_kv_heads=2, causal=causal, std=0.5, rng=rng)
    x, dy = rng.normal(0, 1, (2, 1, 12, 24)).astype(np.float32)
    lengths = np.diff(edges)
    sight = nn.Sight(
        first=np.repeat(edges[:-1], lengths)[None], last=np.repeat(edges[1:], lengths)[None]
    )
    found = value_and_gradient(layer, x, dy, sight)
    alone = [value_and_gradient(layer, x[:, a:b], dy[:, a:b]) for a, b in itertools.pairwise(edges)]
    for whole, parts in zip(found, zip(*alone, strict=True), strict=True):
        np.testing.assert_allclose(whole, np.concatenate(parts, axis=1), rtol=0, atol=1e-5)


def value_and_gradient(layer, x, dy, sight=nn.EVERYTHING):
    x = Tensor(np.ascontiguousarray(x), requires_grad=True)
    y = layer(x, sight=sight)
    (y * Tensor(np.ascontiguousarray(dy))).sum().backward()
    return y.data, x.grad
