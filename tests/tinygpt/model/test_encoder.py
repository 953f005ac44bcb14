"""The encoder: every switch against its formulas, padding, packing, learning, refusals."""

import itertools

import numpy as np
import pytest

from minigrad import no_grad, optim
from tests.tinygpt.model.plain_encoder import PlainEncoder
from tests.tinygpt.model.test_families import SWITCHES, TINY, model_of
from tinygpt.config import ConfigError, structure
from tinygpt.errors import UserError
from tinygpt.inference.decoder import Decoder
from tinygpt.model import Encoder, build, positions
from tinygpt.model import encoder as encoders
from tinygpt.model.encoder import NOT_ASKED, packed, padded
from tinygpt.model.shape import ModelShape

CASES = {
    f"{key}={value}": {key: value}
    for key, values in SWITCHES.items() if key != "window" for value in values
}
CASES |= {
    "defaults": {},
    "embedding_size": {"embedding_size": 12},
    "narrow and post": {"embedding_size": 12, "norm_place": "post", "bias": "all", "tied": False},
    "narrow and sinusoidal": {"embedding_size": 12, "positions": "sinusoidal"},
    "bert": {"family": "bert", "n_kv_heads": 2},
    "albert": {"family": "albert", "n_layers": 3, "n_blocks": 2, "positions": "relative"},
}
POSITIONS = [name for name in CASES if name.startswith("positions")] + ["defaults", "bert"]
IDS = np.random.default_rng(2).integers(0, 31, (2, 24))
ASKED = np.where(np.random.default_rng(3).random((2, 24)) < 0.4, (IDS + 7) % 31, NOT_ASKED)
LENGTHS = np.array([24, 9])


def shape_of(name):
    return structure(ModelShape, {**TINY, "assembly": "encoder", **CASES[name]}, "model.")


def encoder(name):
    return model_of(shape_of(name)).eval()


def plain(model, weights=None):
    arrays = weights or {name: p.data for name, p in model.named_parameters()}
    return PlainEncoder(arrays, model.shape, model.positions.sinusoids)


def logits(model, ids, bounds=None):
    with no_grad():
        return model(ids, bounds=bounds).data


@pytest.mark.parametrize("name", CASES)
def test_logits_are_the_formulas(name):
    check_formulas(encoder(name))


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_the_formulas(name):
    """Along one direction in the space of all weights, by central differences in float64."""
    model = encoder(name)
    oracle, ids, asked = plain(model), IDS[:1, :11], ASKED[:1, :11]
    model.loss(ids, asked).backward()
    rng, along, slope = np.random.default_rng(3), {}, 0.0
    for parameter, p in model.named_parameters():
        along[parameter] = rng.normal(0, 1, p.shape)
        slope += np.sum(p.grad * along[parameter], dtype=np.float64)

    def loss(step):
        moved = {key: w + step * along[key] for key, w in oracle.w.items()}
        y = plain(model, moved).logits(ids[0])
        (rows,) = np.nonzero(asked[0] != NOT_ASKED)
        return np.mean(np.log(np.exp(y[rows]).sum(-1)) - y[rows, asked[0, rows]])

    step = 1e-6
    assert slope == pytest.approx((loss(step) - loss(-step)) / (2 * step), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_parameters_are_counted_before_anything_is_built(name):
    shape = shape_of(name)
    assert build(shape, None).count_parameters() == shape.parameters


@pytest.mark.parametrize("name", POSITIONS)
def test_padded_rows_are_what_each_is_alone(name):
    model = encoder(name)
    whole = logits(model, IDS, padded(LENGTHS, 24))
    for row, length in enumerate(LENGTHS):
        alone = logits(model, IDS[row : row + 1, :length])[0]
        np.testing.assert_allclose(whole[row, :length], alone, rtol=0, atol=1e-5)


def test_what_stands_in_the_padding_changes_nothing_not_even_a_gradient():
    found = []
    for filler in (0, 17):
        ids, asked = IDS.copy(), ASKED.copy()
        ids[1, 9:], asked[1, 9:] = filler, NOT_ASKED
        model = encoder("bert")
        loss = model.loss(ids, asked, bounds=padded(LENGTHS, 24))
        loss.backward()
        found.append([loss.data, *(p.grad for p in model.parameters())])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


OPENING = 30
EDGES = [0, 1, 6, 7, 13, 24]  # texts of 1, 5, 1, 6 and 11 tokens; the first has lost its opening


def several_texts():
    ids = np.where(IDS[:1] == OPENING, 0, IDS[:1])
    ids[0, EDGES[1:-1]] = OPENING
    return ids


def check_packed(model):
    ids = several_texts()
    whole = logits(model, ids, encoders.packed(ids, OPENING))[0]
    alone = [logits(model, ids[:, a:b])[0] for a, b in itertools.pairwise(EDGES)]
    np.testing.assert_allclose(whole, np.concatenate(alone), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", POSITIONS)
def test_packed_texts_are_what_each_is_alone(name):
    check_packed(encoder(name))


def check_formulas(model):
    found = logits(model, IDS[:1])[0]
    np.testing.assert_allclose(found, plain(model).logits(IDS[0]), rtol=0, atol=5e-5)


@pytest.mark.parametrize(
    ("first", "last"), [(-1, 0), (1, 0), (0, -1), (0, 1)],
    ids=["sees one before", "misses the opening", "misses the end", "sees the next opening"],
)
def test_a_mask_off_by_one_at_a_texts_edge_would_be_found(monkeypatch, first, last):
    right = packed

    def wrong(ids, opening):
        bounds = right(ids, opening)
        here = np.arange(ids.shape[1])  # a text of one token still sees itself
        return encoders.Bounds(
            np.clip(bounds.first + first * (bounds.first > 0), 0, here),
            np.clip(bounds.last + last * (bounds.last < ids.shape[1]), here + 1, ids.shape[1]),
        )

    model = encoder("positions=rope")
    check_packed(model)
    monkeypatch.setattr(encoders, "packed", wrong)
    with pytest.raises(AssertionError):
        check_packed(model)


def test_relative_buckets_mirrored_would_be_found(monkeypatch):
    model, right = encoder("positions=relative"), positions.buckets
    check_formulas(model)
    monkeypatch.setattr(positions, "buckets", lambda away, both_ways: right(-away, both_ways))
    with pytest.raises(AssertionError):
        check_formulas(model)


def test_packed_bounds_are_the_edges():
    first, last = packed(several_texts(), OPENING)
    lengths = np.diff(EDGES)
    assert first[0].tolist() == np.repeat(EDGES[:-1], lengths).tolist()
    assert last[0].tolist() == np.repeat(EDGES[1:], lengths).tolist()


def test_every_position_sees_every_other():
    model = encoder("defaults")
    before = logits(model, IDS[:1])
    for place in (0, 12, 23):
        changed = IDS[:1].copy()
        changed[0, place] = (changed[0, place] + 1) % 31
        assert (logits(model, changed) != before).any(axis=-1).all()


def test_relative_buckets_tell_before_from_after():
    """With them alone, a text read backwards is another text; without, its mirror image."""
    for name, mirrored in (("positions=none", True), ("positions=relative", False)):
        model = encoder(name)
        forth, back = logits(model, IDS), logits(model, IDS[:, ::-1].copy())[:, ::-1]
        assert np.allclose(forth, back, atol=1e-4) == mirrored


@pytest.mark.parametrize("name", ["bert", "albert", "positions=rope", "activation=swiglu"])
def test_it_learns_a_batch(name):
    model = build(shape_of(name), np.random.default_rng(0))
    optimizer = optim.AdamW(model.parameters(), lr=1e-2)
    first = None
    for _ in range(40):
        loss = model.loss(IDS, ASKED)
        first = first or loss.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.6 * first


def test_recomputing_gives_the_same_gradients():
    for name in ("bert", "positions=relative"):
        grads = []
        for again in (False, True):
            model = encoder(name)
            model.recompute = again
            model.loss(IDS, ASKED, bounds=padded(LENGTHS, 24)).backward()
            grads.append([p.grad for p in model.parameters()])
        for one, other in zip(*grads, strict=True):
            np.testing.assert_array_equal(one, other)


def test_an_encoder_does_not_write_and_says_what_it_is_for():
    model = encoder("bert")
    assert type(model) is Encoder
    with pytest.raises(UserError, match="is an encoder.*classify or to embed.*decoder"):
        Decoder(model)


@pytest.mark.parametrize(
    ("values", "both"),
    [
        ({"assembly": "encoder", "window": 5}, ["window = 5", 'assembly = "encoder"']),
        ({"family": "bert", "window": 5}, ["window = 5", 'assembly = "encoder"']),
        ({"embedding_size": 12}, ["embedding_size = 12", 'assembly = "decoder"']),
        ({"family": "albert", "assembly": "decoder"}, ["embedding_size = 128", '"decoder"']),
    ],
)
def test_switches_that_contradict_each_other_name_both(values, both):
    with pytest.raises(ConfigError) as error:
        structure(ModelShape, {**TINY, **values}, "model.")
    assert all(text in str(error.value) for text in both)
    assert error.value.exit_code == 2


def test_nothing_asked_and_rows_of_no_length_are_refused():
    model = encoder("defaults")
    with pytest.raises(ValueError, match="no position is asked for"):
        model.loss(IDS, np.full_like(IDS, NOT_ASKED))
    with pytest.raises(ValueError, match="0 to 24 tokens in 24"):
        padded(np.array([24, 0]), 24)
    with pytest.raises(ValueError, match="25 positions do not fit the context of 24"):
        model(np.zeros((1, 25), np.int64))
