"""The encoder-decoder: every switch against its formulas, decoding, padding, gradients."""

import dataclasses

import numpy as np
import pytest

from minigrad import no_grad
from tests.tinygpt.model.plain_encoder_decoder import PlainEncoderDecoder
from tests.tinygpt.model.test_families import SWITCHES, TINY
from tinygpt.config import structure
from tinygpt.errors import UserError
from tinygpt.inference.decoder import Decoder
from tinygpt.model import build, encoder_decoder, positions
from tinygpt.model.families import FAMILIES
from tinygpt.model.shape import ModelShape

BOTH = TINY | {"assembly": "encoder-decoder"}
CASES = {f"{key}={value}": {key: value} for key, values in SWITCHES.items() for value in values}
CASES |= {
    name: {"family": name, "n_kv_heads": 2}
    for name, row in FAMILIES.items() if row.get("assembly") != "encoder"
}
CASES |= {
    "t5, the original": {"family": "t5", "activation": "relu", "tied": True},
    "three layers of two": {"n_layers": 3, "n_blocks": 2},
    "all biases, normed heads of six": {"bias": "all", "qk_norm": True, "head_dim": 6, "eps": 0.3},
}
RNG = np.random.default_rng(2)
LENGTHS, ENDS = np.array([6, 11]), np.array([8, 3])
SOURCE, IDS, TARGETS = (RNG.integers(0, 31, (2, n)) for n in (11, 8, 8))
TARGETS = np.where(np.arange(8) < ENDS[:, None], TARGETS, -1)


def shape_of(name):
    return structure(ModelShape, BOTH | CASES[name], "model.")


def model_of(shape):
    """A model of a shape, or of the name of one, in whose weights nothing is 0 or 1."""
    model = build(shape_of(shape) if isinstance(shape, str) else shape, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    for parameter in model.parameters():
        parameter.data += rng.normal(0, 0.1, parameter.shape).astype(np.float32)
    return model


def plain(model, weights=None):
    arrays = weights or {name: p.data for name, p in model.named_parameters()}
    return PlainEncoderDecoder(arrays, model.shape, model.encoder.positions.sinusoids)


def farthest(model):
    """The largest difference of its logits from the formulas', rows without their padding."""
    oracle = plain(model)
    with no_grad():
        found = model.eval()(SOURCE, LENGTHS, IDS).data
    return max(
        np.abs(y - oracle.logits(source[:length], ids)).max()
        for y, source, length, ids in zip(found, SOURCE, LENGTHS, IDS, strict=True)
    )


@pytest.mark.parametrize("name", CASES)
def test_logits_are_the_formulas(name):
    assert farthest(model_of(name)) < 1e-4


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_the_formulas(name):
    """Along one direction in the space of all weights, by central differences in float64."""
    model = model_of(name).eval()
    model.read(SOURCE, LENGTHS).loss(IDS, TARGETS, ignore_index=-1).backward()
    rng, along, slope = np.random.default_rng(3), {}, 0.0
    oracle = plain(model)
    for parameter, p in model.named_parameters():
        along[parameter] = rng.normal(0, 1, p.shape)
        slope += np.sum(p.grad * along[parameter], dtype=np.float64)

    def loss(step):
        moved = plain(model, {key: w + step * along[key] for key, w in oracle.w.items()})
        total = 0.0
        for row, end in enumerate(ENDS):
            y = moved.logits(SOURCE[row, : LENGTHS[row]], IDS[row, :end])
            total += np.log(np.exp(y).sum(-1)).sum() - y[np.arange(end), TARGETS[row, :end]].sum()
        return total / ENDS.sum()

    step = 1e-6
    assert slope == pytest.approx((loss(step) - loss(-step)) / (2 * step), rel=2e-4, abs=2e-4)


@pytest.mark.parametrize("name", CASES)
def test_step_by_step_is_as_with_the_target_at_hand(name):
    model = model_of(name).eval()
    with no_grad():
        reading = model.read(SOURCE, LENGTHS)
        whole = reading(IDS).data
    decoder = Decoder(reading, batch=2)
    found = [decoder.feed(IDS[:, :1])] + [decoder.step(IDS[:, t]) for t in range(1, 8)]
    np.testing.assert_allclose(np.stack(found, axis=1), whole, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_padding_changes_nothing(name):
    """More of it, other ids in it: the same loss, the same gradients."""
    found = []
    for more, token in ((0, 0), (4, 30)):
        model = model_of(name)
        source = np.pad(SOURCE, ((0, 0), (0, more)), constant_values=token)
        source[np.arange(11 + more) >= LENGTHS[:, None]] = token
        ids = np.pad(IDS, ((0, 0), (0, more)))
        ids[np.arange(8 + more) >= ENDS[:, None]] = token
        targets = np.pad(TARGETS, ((0, 0), (0, more)), constant_values=-1)
        loss = model.read(source, LENGTHS).loss(ids, targets, ignore_index=-1)
        loss.backward()
        found.append([loss.data, *(p.grad for p in model.parameters())])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["t5", "norm_place=post", "positions=rope", "n_blocks=1"])
def test_recomputing_gives_the_same_gradients(name):
    grads = []
    for again in (False, True):
        model = model_of(dataclasses.replace(shape_of(name), dropout=0.3))
        model.recompute = again
        model.read(SOURCE, LENGTHS).loss(IDS, TARGETS, ignore_index=-1).backward()
        grads.append([p.grad for p in model.parameters()])
    for one, other in zip(*grads, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", CASES)
def test_the_shape_knows_how_many_parameters_there_are(name):
    assert build(shape_of(name), None).count_parameters() == shape_of(name).parameters


def test_what_is_written_sees_its_past_and_all_of_the_source():
    model = model_of("t5").eval()
    later, first = IDS.copy(), SOURCE.copy()
    later[:, 5] = (later[:, 5] + 1) % 31
    first[:, LENGTHS.min() - 1] = (first[:, LENGTHS.min() - 1] + 1) % 31
    with no_grad():
        usual = model(SOURCE, LENGTHS, IDS).data
        changed = model(SOURCE, LENGTHS, later).data
        np.testing.assert_array_equal(usual[:, :5], changed[:, :5])
        assert (usual[:, 5:] != changed[:, 5:]).any(axis=-1).all()
        assert (usual != model(first, LENGTHS, IDS).data).any(axis=-1).all()


# Mistakes that have been made elsewhere; the formulas must notice each.


def mirrored(distances, both_ways, right=positions.buckets):
    return right(-distances if both_ways else distances, both_ways)


def one_more(lengths, queries, right=encoder_decoder.ends):
    return np.minimum(right(lengths, queries) + 1, SOURCE.shape[1])


def one_less(lengths, queries, right=encoder_decoder.ends):
    return right(lengths, queries) - 1


def wrong_row(lengths, queries, right=encoder_decoder.ends):
    return right(lengths[::-1], queries)


@pytest.mark.parametrize(
    ("module", "name", "mistake"),
    [
        (positions, "buckets", mirrored), (encoder_decoder, "ends", one_more),
        (encoder_decoder, "ends", one_less), (encoder_decoder, "ends", wrong_row),
    ],
)
def test_a_mistake_is_noticed(module, name, mistake, monkeypatch):
    model = model_of("t5")
    assert farthest(model) < 1e-4
    monkeypatch.setattr(module, name, mistake)
    assert farthest(model) > 1e-3


def test_memory_of_another_row_is_noticed(monkeypatch):
    model = model_of("t5")
    for block in model.decoder.layers():
        right = block.cross.read
        monkeypatch.setattr(block.cross, "read", lambda memory, right=right: right(memory[::-1]))
    assert farthest(model) > 1e-2


def test_it_writes_nothing_without_a_source():
    with pytest.raises(UserError, match="has to read a source"):
        Decoder(build(shape_of("t5"), None))


def test_longer_than_the_context_is_refused():
    model = build(shape_of("t5"), None)
    with pytest.raises(ValueError, match="a source of 25 tokens does not fit the context of 24"):
        model.read(np.zeros((1, 25), np.int64), np.array([25]))
    with pytest.raises(ValueError, match="25 positions do not fit the context of 24"):
        model.read(SOURCE, LENGTHS)(np.zeros((2, 25), np.int64))
