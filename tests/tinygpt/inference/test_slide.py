"""A text beyond the context: a slid cache gives what one pass over the whole text would."""

import dataclasses

import numpy as np
import pytest

from minigrad import no_grad
from tinygpt.config import structure
from tinygpt.inference.chat import Conversation
from tinygpt.inference.decoder import Decoder
from tinygpt.inference.generate import generate
from tinygpt.inference.sampling import GREEDY
from tinygpt.model import ModelShape, build
from tinygpt.tokenizer import CharTokenizer

TINY = {"vocab_size": 31, "context": 12, "n_layers": 2, "n_heads": 4, "d_model": 32}
SHAPES = {
    "rope": {"positions": "rope"},
    "alibi": {"positions": "alibi", "n_heads": 6, "head_dim": 6},
    "relative": {"positions": "relative"},
    "none": {"positions": "none"},
    "llama": {"family": "llama", "n_kv_heads": 2},
    "qwen2": {"family": "qwen2", "n_kv_heads": 2, "eps": 0.01},
    "qwen3": {"family": "qwen3", "n_kv_heads": 1, "head_dim": 10, "eps": 0.01},
    "mistral": {"family": "mistral", "window": 5},
    "window of one": {"positions": "rope", "window": 1},
    "shared, post-norm, capped": {"positions": "relative", "norm_place": "post", "n_blocks": 1,
                                  "softcap": 3.0, "bias": "all", "activation": "geglu"},
}


def model_of(values, **more):
    """A model in whose weights nothing is 0 or 1, and attention is far from uniform."""
    model = build(structure(ModelShape, {**TINY, **values, **more}, "model."),
                  np.random.default_rng(0))
    rng = np.random.default_rng(1)
    for parameter in model.parameters():
        parameter.data += rng.normal(0, 0.1, parameter.shape).astype(np.float32)
    return model.eval()


def whole(model, ids):
    """Logits (B, T, V) of one pass in which each query sees as many keys as the model's."""
    shape = dataclasses.replace(
        model.shape, context=ids.shape[1], window=min(model.shape.sight, ids.shape[1])
    )
    long = build(shape, None).eval()
    long.load_state_dict(model.state_dict())
    with no_grad():
        return long(ids).data


def by_forward(decoder):
    decoder._network = None
    return decoder


@pytest.mark.parametrize("way", [lambda decoder: decoder, by_forward], ids=["kernel", "forward"])
@pytest.mark.parametrize("name", SHAPES)
def test_steps_beyond_the_context_equal_one_pass_over_the_whole_text(name, way):
    model = model_of(SHAPES[name])
    ids = np.random.default_rng(2).integers(0, 31, (2, 40))
    decoder = way(Decoder(model, batch=2))
    found = [decoder.feed(ids[:, :9]), *(decoder.step(ids[:, t]) for t in range(9, 40))]
    right = whole(model, ids)[:, 8:]
    np.testing.assert_allclose(np.stack(found, axis=1), right, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", SHAPES)
def test_several_tokens_at_once_slide_as_each_alone_would(name):
    """Feeds up to the edge, across it, of a whole context, and far beyond it."""
    model = model_of(SHAPES[name])
    ids = np.random.default_rng(3).integers(0, 31, (2, 66))
    right, decoder, at = whole(model, ids), Decoder(model, batch=2), 0
    for length in (7, 4, 5, 1, 12, 2, 3, 12, 11):
        logits = decoder.feed(ids[:, at : at + length])
        at += length
        np.testing.assert_allclose(logits, right[:, at - 1], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(decoder.step(ids[:, at]), right[:, at], rtol=1e-4, atol=1e-4)
        at += 1
    assert decoder.length == 12


@pytest.mark.parametrize("name", ["llama", "relative"])
def test_two_thousand_tokens_on_a_context_of_64(name):
    """Far beyond the context nothing has drifted, and nothing has grown."""
    model = model_of(SHAPES[name], context=64)
    ids = np.random.default_rng(4).integers(0, 31, (1, 2000))
    decoder = Decoder(model)
    keys, values = decoder.cache.keys, decoder.cache.values
    found = [decoder.step(ids[:, t]) for t in range(2000)]
    assert decoder.cache.keys is keys and decoder.cache.values is values
    assert keys.shape[2] == 64
    right = whole(model, ids)
    np.testing.assert_allclose(np.stack(found, axis=1), right, rtol=1e-4, atol=1e-4)


def test_a_window_needs_no_more_places_than_it_sees():
    model = model_of({"positions": "rope"}, window=5)
    assert Decoder(model).cache.keys.shape[2] == 5


@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
def test_a_table_of_positions_does_not_slide_with_a_window_either(positions):
    model = model_of({"positions": positions}, window=5)
    ids = np.random.default_rng(5).integers(0, 31, (2, 16))
    decoder = Decoder(model, batch=2)
    found = [decoder.feed(ids[:, :3]), *(decoder.step(ids[:, t]) for t in range(3, 16))]
    with no_grad():
        right = [*model(ids[:, :12]).data[:, 2:].swapaxes(0, 1),
                 *model(ids[:, 6:16]).data[:, 6:].swapaxes(0, 1)]
    np.testing.assert_allclose(np.stack(found), np.stack(right), rtol=1e-4, atol=1e-4)


def test_generation_beyond_the_context_follows_the_argmax_of_the_whole_text():
    model, ids = model_of(SHAPES["llama"]), [5, 6, 7]
    for token in generate(model, ids.copy(), max_tokens=40, sampling=GREEDY):
        assert token == whole(model, np.array([ids]))[0, -1].argmax()
        ids.append(token)


def test_a_conversation_that_slides_reads_everything_once(monkeypatch):
    read = []

    def feed(self, ids, feed=Decoder.feed):
        read.append(ids.shape[1])
        return feed(self, ids)

    monkeypatch.setattr(Decoder, "feed", feed)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ ,.!?"
    talk = Conversation(model_of(SHAPES["rope"]), CharTokenizer(letters), sampling=GREEDY,
                        max_tokens=4, stop=())
    for said in ("HELLO", "WHO ARE YOU", "I AM", "AND NOW"):
        "".join(talk.say(said))
    assert read == [5, 11, 4, 7]
    "".join(talk.say("MORE THAN A WHOLE CONTEXT"))
    assert read[4:] == [12]
