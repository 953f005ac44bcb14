"""What every tokenizer does with special tokens, texts and ids, on a vocabulary of bytes."""

from __future__ import annotations

import numpy as np
import pytest

from tinygpt.tokenizer import BPETokenizer, CharTokenizer, StreamingDecoder, TokenizerError
from tinygpt.tokenizer.base import stream

BYTES = BPETokenizer(
    [], special_tokens={"<a>": 300, "<a>b": 301, "<c>": 302}, byte_ids=range(256)
)


@pytest.mark.parametrize(
    ("text", "allowed", "ids"),
    [
        ("", "all", []), ("<a>", "all", [300]), ("<a><a>", "all", [300, 300]),
        ("x<a>y", "all", [120, 300, 121]), ("<a>bc", "all", [301, 99]), ("xy", {"<a>"}, [120, 121]),
        (b"x<a>b", "all", [120, 301]), (b"\xff<c>", ["<c>"], [255, 302]),
        (bytearray(b"x<c>"), "all", [120, 302]), (memoryview(b"xy"), (), [120, 121]),
    ],
)
def test_allowed_special_tokens_are_one_id_each_the_longest_first(text, allowed, ids):
    found = BYTES.encode_array(text, allowed_special=allowed)
    assert found.tolist() == ids == BYTES.encode(text, allowed) and found.dtype == np.uint16


@pytest.mark.parametrize(
    ("text", "allowed", "disallowed", "named"),
    [
        ("xy<a>", (), "all", "'<a>' at position 2"), ("<c>", {"<a>"}, "all", "'<c>' at position 0"),
        (b"x<a>b", (), "all", "'<a>b' at position 1"), ("<a>b", {"<a>"}, "all", "'<a>b' at pos"),
        ("<a><c>", (), {"<c>"}, "'<c>' at position 3"), ("xno", (), ["no"], "'no' at position 1"),
        ("x", {"<d>"}, "all", "'<d>' is not a special token.*Known: <a>, <a>b, <c>"),
    ],
)
def test_disallowed_ones_are_refused_with_their_place(text, allowed, disallowed, named):
    with pytest.raises(TokenizerError, match=named):
        BYTES.encode(text, allowed, disallowed)


@pytest.mark.parametrize(
    ("text", "allowed", "disallowed"), [("<a>", (), ()), ("<a>", (), {"<c>"}), ("<a>", (), ["z"])]
)
def test_others_are_ordinary_characters(text, allowed, disallowed):
    assert BYTES.encode(text, allowed, disallowed) == list(text.encode())


def test_what_is_allowed_and_disallowed_is_allowed():
    assert BYTES.encode("<a>", {"<a>"}, {"<a>"}) == [300]


def test_a_special_token_has_an_id():
    assert BYTES.special_id("<c>") == 302
    with pytest.raises(TokenizerError, match="'<d>' is not a special token"):
        BYTES.special_id("<d>")
    with pytest.raises(TokenizerError, match="Known: it has none"):
        CharTokenizer("ab").special_id("<c>")


@pytest.mark.parametrize("text", [3, None, ["a"], 1.5])
def test_what_is_no_text_is_a_wrong_type(text):
    with pytest.raises(TypeError, match="text must be str or bytes, not"):
        BYTES.encode(text)


@pytest.mark.parametrize(("last", "dtype"), [(2**16 - 1, np.uint16), (2**16, np.uint32)])
def test_ids_take_two_bytes_while_they_fit(last, dtype):
    tokenizer = BPETokenizer([], special_tokens={"<a>": last})
    assert tokenizer.vocab_size == last + 1 and tokenizer.dtype == dtype
    assert tokenizer.encode_array("<a>", "all").tolist() == [last]
    assert tokenizer.encode_array("a").dtype == dtype


def test_text_is_shown_as_soon_as_its_characters_are_whole():
    ids = list("aé€".encode())
    decoder = StreamingDecoder(BYTES)
    assert [decoder.push(token) for token in ids] == ["a", "", "é", "", "", "€"]
    assert decoder.flush() == ""
    assert list(stream(BYTES, ids[:-1])) == ["a", "", "é", "", "", "\ufffd"]
    assert BYTES.decode(ids[:-1]) == "aé\ufffd"
    assert BYTES.decode_bytes([*ids, 301]) == "aé€<a>b".encode()
