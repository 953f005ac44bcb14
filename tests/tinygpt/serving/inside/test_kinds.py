"""Encoders and encoder-decoders: looked at, and refused where they would have to write."""

import numpy as np
import pytest

from tests.tinygpt.serving.conftest import Room
from tests.tinygpt.serving.inside.test_looks import floats, shades
from tinygpt.inference.prompt import ids_of
from tinygpt.inspection import watch, watch_pair
from tinygpt.inspection.lens import lens
from tinygpt.model import ModelShape, build
from tinygpt.serving.served import Served
from tinygpt.tokenizer import END_OF_TEXT, MASK, CharTokenizer

LETTERS = CharTokenizer("abcdefghijklmnopqrstuvwxyz .", (END_OF_TEXT, MASK))
END = LETTERS.special_id(END_OF_TEXT)
SOURCE, WRITTEN = "the cat sat", "tac eht"


def make_kind(family):
    """A model of random weights by the name of its family."""
    shape = ModelShape(**ModelShape.fill({
        "family": family, "vocab_size": LETTERS.vocab_size, "context": 32, "n_layers": 2,
        "n_heads": 2, "d_model": 16,
    }))
    model = build(shape, np.random.default_rng(0))
    for parameter in model.parameters():
        parameter.data *= 4 if parameter.data.ndim == 2 else 1
    return Served(family, model.eval(), LETTERS)


@pytest.fixture(scope="module")
def encoder():
    return make_kind("bert")


@pytest.fixture(scope="module")
def pair():
    return make_kind("t5")


@pytest.fixture(scope="module")
def kinds(encoder, pair):
    found = Room([encoder, pair])
    yield found
    found.stop()


def test_a_hidden_token_is_guessed_between_the_marks_that_an_encoder_learned(kinds, encoder):
    row = np.array([END, *LETTERS.encode(SOURCE)])
    found = kinds.post("/look/tokens", model="bert", text=SOURCE)
    assert [token["id"] for token in found["tokens"]] == row.tolist()
    row[3] = LETTERS.special_id(MASK)
    p = np.exp(watch(encoder.model, row).logits[3].astype(np.float64))
    asked = kinds.post("/look/hidden", model="bert", text=SOURCE, position=3)
    assert asked["candidates"][0]["id"] == int(p.argmax())
    assert asked["before"][0] == pytest.approx(float(p.max() / p.sum()), rel=1e-6)


def test_who_looks_at_whom_in_a_pair(kinds, pair):
    ids = [END, *LETTERS.encode(WRITTEN)]
    seen = watch_pair(pair.model, ids_of(LETTERS, SOURCE), ids)
    asked = {"model": "t5", "text": SOURCE, "written": WRITTEN}
    for half, layers, shape in [
        ("cross", [layer.cross for layer in seen.layers], (8, 12)),
        ("source", [layer.attention for layer in seen.source.layers], (12, 12)),
        ("self", [layer.attention for layer in seen.layers], (8, 8)),
    ]:
        found = kinds.post("/look/attention", **asked, half=half)
        weights = np.stack([one.maps()[1] for one in layers])
        assert weights.shape == (2, 2, *shape)
        assert np.abs(shades(found["maps"]) / 255 - weights).max() <= 0.5 / 255 + 1e-6
        assert (len(found["queries"]), len(found["keys"])) == shape
        one = kinds.post("/look/head", **asked, half=half, layer=1, head=1)
        np.testing.assert_allclose(floats(one["weights"]), weights[1, 1], atol=1e-6)


def test_what_a_pair_would_write_next_and_what_its_layers_would(kinds, pair):
    seen = watch_pair(pair.model, ids_of(LETTERS, SOURCE), [END, *LETTERS.encode(WRITTEN)])
    asked = {"model": "t5", "text": SOURCE, "written": WRITTEN}
    found = kinds.post("/look/next", **asked)
    assert [row[0]["id"] for row in found["candidates"]] == seen.logits.argmax(-1).tolist()
    layers = kinds.post("/look/lens", **asked, k=3)
    assert layers["likeliest"] == lens(pair.model, seen, 3).tokens.tolist()
    assert [row[0] for row in layers["likeliest"][-1]] == seen.logits.argmax(-1).tolist()


@pytest.mark.parametrize("model, path, body, words", [
    ("bert", "/v1/completions", {"prompt": "a"}, "makes vectors of texts and goes on with none"),
    ("t5", "/v1/completions", {"prompt": "a"}, "turns one text into another and goes on with none"),
    ("t5", "/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}]}, "Ask /look"),
    ("t5", "/v1/embeddings", {"input": "a"}, "makes no vectors"),
    ("bert", "/look/next", {"text": "a"}, "does not write on"),
    ("bert", "/look/account", {"text": "a", "position": 0}, "only a decoder's logit"),
    ("t5", "/look/account", {"text": "a", "position": 0}, "only a decoder's logit"),
    ("t5", "/look/hidden", {"text": "a", "position": 0}, "fills no gaps"),
    ("t5", "/look/habits", {}, "read a source before it writes"),
    ("t5", "/look/next", {"text": "a" * 32}, "the text has 33 tokens"),
])
def test_what_a_kind_cannot_do_is_refused_in_a_sentence(kinds, model, path, body, words):
    assert words in kinds.post(path, status=400, model=model, **body)["error"]["message"]


def test_an_encoder_embeds_and_neither_is_said_to_write(kinds):
    found = kinds.post("/v1/embeddings", model="bert", input=SOURCE, encoding_format="float")
    assert np.linalg.norm(found["data"][0]["embedding"]) == pytest.approx(1, abs=1e-5)
    assert [one["writes"] for one in kinds.get("/v1/models")["data"]] == [False, False]
