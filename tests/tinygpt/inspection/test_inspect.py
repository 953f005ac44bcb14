"""tinygpt.inspect from Python: names of axes, heads switched off."""

import numpy as np
import pytest

import tinygpt
from tests.tinygpt.inspection.conftest import model_of
from tinygpt.errors import UserError
from tinygpt.inspection.named import NamedArray
from tinygpt.tokenizer import CharTokenizer

TEXT = "abcabcabc"


@pytest.fixture
def opened():
    characters = "".join(chr(97 + i) for i in range(26)) + " .,!?"
    return tinygpt.Opened(model_of("gpt"), CharTokenizer(characters))


def test_axes_have_names(opened):
    seen = tinygpt.inspect(opened, TEXT)
    assert seen.weights.sizes == {"layer": 3, "head": 4, "query": 9, "key": 9}
    head = seen.weights.at(layer=2, head=1)
    assert head.axes == ("query", "key")
    assert np.array_equal(head, seen.seen.layers[2].attention.maps()[1][1])
    assert seen.tokens == list(TEXT)
    assert seen.streams.sizes == {"row": 4, "position": 9, "channel": 32}
    assert np.isneginf(float(seen.scores.at(layer=0, head=0, query=0, key=1)))
    assert seen.losses.at(position=[1, 2]).sizes == {"position": 2}
    with pytest.raises(KeyError, match="no axis 'heads': the axes are layer, head, query, key"):
        seen.weights.at(heads=1)


def test_a_named_array_names_each_axis_once():
    with pytest.raises(ValueError, match="NamedArray"):
        NamedArray(np.zeros((2, 2)), ("a", "a"))
    assert "a: 2, b: 3" in repr(NamedArray(np.zeros((2, 3)), ("a", "b")))


def test_without_a_head_the_same_text_is_read_again(opened):
    seen = tinygpt.inspect(opened, TEXT)
    off = seen.without((0, 1)).without((2, 3))
    assert off.silenced == ((0, 1), (2, 3))
    assert off.account().token == int(off.logits.values[-1].argmax())
    assert not np.array_equal(off.logits, seen.logits)
    assert seen.habits().sizes == {"habit": 4, "layer": 3, "head": 4}
    assert seen.lens(3).tokens.shape == (4, 9, 3)


def test_a_text_that_cannot_be_read_is_one_sentence(opened):
    with pytest.raises(UserError, match="0 tokens"):
        tinygpt.inspect(opened, "")
    with pytest.raises(UserError, match="25 tokens"):
        tinygpt.inspect(opened, "a" * 25)
