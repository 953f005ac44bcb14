"""Every switch of the shape: it trains, its cache and decode step agree with its forward."""

import dataclasses

import numpy as np
import pytest

from minigrad import no_grad, optim
from tinygpt.config import ConfigError, structure
from tinygpt.inference.decoder import Decoder
from tinygpt.model.build import build
from tinygpt.model.families import FAMILIES
from tinygpt.model.shape import ModelShape

TINY = {"vocab_size": 31, "context": 24, "n_layers": 2, "n_heads": 4, "d_model": 32}
SWITCHES = {
    "positions": ["sinusoidal", "rope", "alibi", "relative", "none"],
    "norm": ["rmsnorm"],
    "norm_place": ["post"],
    "qk_norm": [True],
    "activation": ["gelu_erf", "relu", "relu2", "silu", "swiglu", "geglu"],
    "n_kv_heads": [1, 2],
    "head_dim": [6],
    "d_ff": [40],
    "bias": ["qkv", "all"],
    "tied": [False],
    "n_blocks": [1],
    "window": [5],
    "softcap": [3.0],
    "zero_init": [True],
}
SHAPES = {f"{key}={value}": {key: value} for key, values in SWITCHES.items() for value in values}
SHAPES |= {  # of decoders, or with another setting beside it
    "smear=True": {"smear": True}, "bigrams=True": {"bigrams": True},
    "alibi_scale=4": {"positions": "alibi", "alibi_scale": 4.0},
}
DECODERS = [family for family, row in FAMILIES.items() if "assembly" not in row]
SHAPES |= {family: {"family": family, "n_kv_heads": 2, "window": 7} for family in DECODERS}


def shape_of(name):
    return structure(ModelShape, {**TINY, **SHAPES[name]}, "model.")


def model_of(shape, seed=0):
    """A model of a shape, or of the name of one, in whose weights nothing is 0 or 1."""
    shape = shape_of(shape) if isinstance(shape, str) else shape
    model = build(shape, np.random.default_rng(seed))
    rng = np.random.default_rng(1)
    for parameter in model.parameters():  # what begins at 0 or 1 has its say too
        parameter.data += rng.normal(0, 0.1, parameter.shape).astype(np.float32)
    return model


IDS = np.random.default_rng(2).integers(0, 31, (2, 24))


@pytest.mark.parametrize("name", SHAPES)
def test_cache_and_decode_step_agree_with_forward(name):
    model = model_of(name).eval()
    with no_grad():
        whole = model(IDS).data
    decoder = Decoder(model, batch=2)
    found = [decoder.feed(IDS[:, :9])] + [decoder.step(IDS[:, t]) for t in range(9, 24)]
    np.testing.assert_allclose(np.stack(found, axis=1), whole[:, 8:], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", SHAPES)
def test_a_later_token_does_not_change_earlier_logits(name):
    model = model_of(name).eval()
    changed = IDS.copy()
    changed[:, 13] = (changed[:, 13] + 1) % 31
    with no_grad():
        before, after = model(IDS).data, model(changed).data
    np.testing.assert_array_equal(before[:, :13], after[:, :13])
    assert not np.allclose(before[:, 13:], after[:, 13:])


@pytest.mark.parametrize("name", SHAPES)
def test_it_learns_a_batch(name):
    model = build(shape_of(name), np.random.default_rng(0))
    optimizer = optim.AdamW(model.parameters(), lr=1e-2)
    first = None
    for _ in range(40):
        loss = model.loss(IDS[:, :-1], IDS[:, 1:])
        first = first or loss.item()
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None for p in model.parameters())
        optimizer.step()
    assert loss.item() < 0.6 * first


@pytest.mark.parametrize("name", SHAPES)
def test_recomputing_gives_the_same_gradients(name):
    grads = []
    for again in (False, True):
        model = model_of(name)
        model.recompute = again
        model.loss(IDS[:, :-1], IDS[:, 1:]).backward()
        grads.append([p.grad for p in model.parameters()])
    for one, other in zip(*grads, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_window_hides_what_lies_further_back():
    model = model_of("window=5").eval()
    changed = IDS.copy()
    changed[:, 3] = (changed[:, 3] + 1) % 31
    with no_grad():
        differs = (model(IDS).data != model(changed).data).any(axis=(0, 2))
    assert np.flatnonzero(differs).tolist() == list(range(3, 3 + 2 * 4 + 1))  # two layers, 4 each


@pytest.mark.parametrize("name", ["smear=True", "bigrams=True"])
def test_no_text_is_given_the_last_token_of_the_one_before_it(name):
    """In a row that holds two; and a text that begins anew in a cache has none before it."""
    model = model_of(name).eval()
    row, starts = IDS[:1, :9], np.repeat([[0, 4]], [4, 5], axis=1)
    with no_grad():
        together = model.head(model.hidden(row, starts=starts)).data
        alone = [model(row[:, :4]).data, model(row[:, 4:]).data]
    np.testing.assert_allclose(together, np.concatenate(alone, 1), atol=1e-5, rtol=1e-5)
    decoder = Decoder(model, batch=1)
    decoder.feed(row[:, :4])
    decoder.clear()
    np.testing.assert_allclose(decoder.step(row[:, 4]), alone[1][:, 0], atol=1e-5, rtol=1e-5)


def test_layers_of_a_group_share_their_block():
    shape = dataclasses.replace(ModelShape(**TINY), n_layers=5, n_blocks=2)
    model = build(shape, np.random.default_rng(0))
    assert len(list(model.blocks)) == 2
    first, second = model.blocks
    assert [block is first for block in model.layers()] == [True, True, True, False, False]
    assert model.layers()[4] is second


@pytest.mark.parametrize(
    ("values", "both"),
    [
        ({"n_kv_heads": 3}, ["n_kv_heads = 3", "n_heads = 4"]),
        ({"positions": "rope", "head_dim": 7}, ["rope", "7"]),
        ({"n_blocks": 3}, ["n_blocks = 3", "n_layers = 2"]),
        ({"smear": True, "family": "bert"}, ["smear", '"encoder"']),
        ({"bigrams": True, "family": "bert"}, ["bigrams", '"encoder"']),
        ({"bigrams": True, "vocab_size": 513}, ["bigrams", "512"]),
        ({"family": "lama"}, ["lama", "llama"]),
        ({"family": "bert", "window": 8}, ["window = 8", 'assembly = "encoder"']),
        ({"embedding_size": 8}, ["embedding_size = 8", 'assembly = "decoder"']),
    ],
)
def test_switches_that_contradict_each_other_name_both(values, both):
    with pytest.raises(ConfigError) as error:
        structure(ModelShape, {**TINY, **values}, "model.")
    assert all(text in str(error.value) for text in both)
    assert error.value.exit_code == 2


def test_a_head_of_another_vocabulary_is_refused_and_not_passed_over():
    with pytest.raises(ConfigError, match="vocab_size = 1000, but .* has 28") as error:
        ModelShape(vocab_size=1000).with_vocabulary(28)
    assert error.value.exit_code == 2
    assert ModelShape().with_vocabulary(28).vocab_size == 28
    assert ModelShape(vocab_size=28).with_vocabulary(28).vocab_size == 28
