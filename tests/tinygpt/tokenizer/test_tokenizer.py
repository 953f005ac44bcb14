"""Tokenizers: round trips, special tokens, streaming, and what they refuse."""

from __future__ import annotations

import doctest
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygpt.tokenizer import (
    DEFAULT_SPECIAL_TOKENS,
    BPETokenizer,
    CharTokenizer,
    StreamingDecoder,
    TokenizerError,
    load,
    naive,
    pretokenize,
    train_bpe,
)
from tinygpt.tokenizer import trainer as trainer_module
from tinygpt.tokenizer.bpe import BYTE_IDS
from tinygpt.tokenizer.char import nearest

TEXT = "the cat sat on the mat; the other cat's hat sat there, too. " * 8 + "naïve café 2024\n"
TEXT += "sphinx of black quartz, judge my vow: pack my box with five dozen liquor jugs\n" * 2


@pytest.fixture(scope="module")
def bpe() -> BPETokenizer:
    return train_bpe(TEXT, 300)


@pytest.mark.parametrize("module", [naive, pretokenize, trainer_module])
def test_docstring_examples(module):
    assert doctest.testmod(module).failed == 0


# --- characters ---------------------------------------------------------------------------------


def test_char_vocabulary_is_the_characters_seen_sorted():
    tokenizer = CharTokenizer.train("banana")
    assert tokenizer.characters == "abn"
    assert tokenizer.vocab_size == 3
    assert tokenizer.encode("nab") == [2, 0, 1]


@given(st.text(min_size=1))
def test_char_round_trip(text):
    tokenizer = CharTokenizer.train(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_char_unknown_character_is_named_with_its_position():
    with pytest.raises(TokenizerError, match="'é' at position 3"):
        CharTokenizer.train("cafe").encode("café")


def test_char_refuses_empty_text():
    with pytest.raises(TokenizerError, match="empty"):
        CharTokenizer.train("")


def test_char_saves_and_loads(tmp_path):
    tokenizer = CharTokenizer.train("a\n\"é'\\\u2028")
    tokenizer.save(tmp_path / "t.json")
    again = load(tmp_path / "t.json")
    assert isinstance(again, CharTokenizer) and again.characters == tokenizer.characters


# --- byte-level BPE -----------------------------------------------------------------------------


@given(st.binary())
def test_bpe_any_bytes_round_trip(bpe, data):
    assert bpe.decode_bytes(bpe.encode(data, disallowed_special=())) == data


@given(st.text())
def test_bpe_any_text_round_trip(bpe, text):
    assert bpe.decode(bpe.encode(text, disallowed_special=())) == text


def test_bpe_vocabulary_is_bytes_merges_specials(bpe):
    assert bpe.vocab_size == 300
    assert len(bpe.merges) == 300 - 256 - len(DEFAULT_SPECIAL_TOKENS)
    assert list(bpe.special_tokens.values()) == list(range(294, 300))


def test_bpe_ids_are_uint16_while_they_fit(bpe):
    ids = bpe.encode_array("the cat")
    assert ids.dtype == np.uint16 and bpe.encode("the cat") == ids.tolist()


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=12), st.integers(0, 20))
def test_trainer_agrees_with_the_naive_one(pieces, n_merges):
    counts: dict[bytes, int] = {}
    for piece in pieces:
        counts[piece] = counts.get(piece, 0) + 1
    fast = trainer_module.learn_merges(counts, n_merges, min_count=1)
    assert fast == naive.train([[BYTE_IDS[b] for b in piece] for piece in pieces], n_merges)


@given(st.text(alphabet="thecas \n'", max_size=200))
def test_encoder_agrees_with_the_naive_one(bpe, text):
    expected = []
    for piece in pretokenize.split(text, bpe.pattern):
        expected += naive.encode([BYTE_IDS[b] for b in piece], bpe.merges)
    assert bpe.encode(text) == expected


def test_bpe_saves_and_loads(bpe, tmp_path):
    bpe.save(tmp_path / "t.json")
    again = load(tmp_path / "t.json")
    assert isinstance(again, BPETokenizer)
    assert (again.merges, again.pattern) == (bpe.merges, bpe.pattern)
    assert again.special_tokens == bpe.special_tokens
    assert again.encode(TEXT) == bpe.encode(TEXT)


@pytest.mark.parametrize(
    ("character", "known", "expected"),
    [
        ("\u00e9", "abcde", "e"), ("\u201c", "'\"", '"'), ("Q", "q", "q"), ("\u2026", ".", "..."),
        ("\u00c9", "e", "e"), ("\u732b", "abc", ""), ("q", "Q", "Q"), ("\u00df", "s", "ss"),
    ],
)
def test_the_nearest_writing_of_an_unknown_character(character, known, expected):
    assert nearest(character, known) == expected


# --- special tokens -----------------------------------------------------------------------------


def test_special_token_in_text_is_refused_unless_allowed(bpe):
    with pytest.raises(TokenizerError, match=r"'<\|end\|>' at position 2"):
        bpe.encode("hi<|end|>")
    allowed = bpe.encode("hi<|end|>", allowed_special={"<|end|>"})
    assert allowed[-1] == bpe.special_tokens["<|end|>"]
    assert bpe.decode(allowed) == "hi<|end|>"
    ordinary = bpe.encode("hi<|end|>", disallowed_special=())
    assert max(ordinary) < 294 and bpe.decode(ordinary) == "hi<|end|>"


def test_allowing_an_unknown_special_token_is_an_error(bpe):
    with pytest.raises(TokenizerError, match="not a special token"):
        bpe.encode("x", allowed_special={"<|nope|>"})


def test_special_tokens_in_bytes_are_seen_too(bpe):
    ids = bpe.encode(b"\xff<|endoftext|>", allowed_special="all")
    assert ids == [BYTE_IDS[0xFF], bpe.special_tokens["<|endoftext|>"]]


# --- streaming ----------------------------------------------------------------------------------


@given(st.text())
def test_streaming_never_shows_half_a_character(bpe, text):
    decoder = StreamingDecoder(bpe)
    shown = [decoder.push(token) for token in bpe.encode(text, disallowed_special=())]
    assert "".join(shown) + decoder.flush() == text
    assert all("\ufffd" not in piece for piece in shown) or "\ufffd" in text


def test_streaming_flush_reports_an_unfinished_character(bpe):
    decoder = StreamingDecoder(bpe)
    assert decoder.push(BYTE_IDS[0xC3]) == ""
    assert decoder.flush() == "\ufffd"


# --- bad input ----------------------------------------------------------------------------------


def test_vocabulary_too_small_is_refused():
    with pytest.raises(TokenizerError, match="261 is too small"):
        train_bpe("abc", 261)


def test_empty_text_is_refused():
    with pytest.raises(TokenizerError, match="no text"):
        train_bpe([], 300)


@pytest.mark.parametrize("token", [-1, 300, 10**6])
def test_ids_out_of_range_are_named(bpe, token):
    with pytest.raises(TokenizerError, match=f"the id {token} at position 1"):
        bpe.decode([0, token])


def test_lone_surrogate_is_refused(bpe):
    with pytest.raises(TokenizerError, match="lone surrogate"):
        bpe.encode("a\ud800")


def test_pattern_that_is_no_expression_is_refused():
    with pytest.raises(TokenizerError, match="not a regular expression"):
        train_bpe("abc", 300, pattern="(")


HEAD = '{"format": "tinygpt-bpe", "version": 1, "pattern": "gpt2", "special_tokens": {}, "merges": '


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "not JSON"),
        (b"[]", "not an object"),
        (b"{}", "no tokenizer file known"),
        (b'{"format": "tinygpt-bpe", "version": 9}', "version 9"),
        ((HEAD + "[[0, 999]]}").encode(), "token 999, which is unknown"),
        ((HEAD + "[[0]]}").encode(), "pairs of ids"),
    ],
)
def test_damaged_file_is_refused_in_one_sentence(tmp_path, content, message):
    path = tmp_path / "t.json"
    path.write_bytes(content)
    with pytest.raises(TokenizerError, match=message):
        load(path)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(TokenizerError, match="cannot read"):
        load(tmp_path / "none.json")


def test_a_special_token_without_a_name_is_refused():
    with pytest.raises(TokenizerError, match="would stand everywhere"):
        train_bpe("abc", 300, special_tokens=["<a>", ""])
    with pytest.raises(TokenizerError, match="would stand everywhere"):
        BPETokenizer([], special_tokens={"": 256})


def test_a_special_token_given_twice_is_one():
    assert train_bpe("abc", 257, special_tokens=["<a>", "<a>"]).special_tokens == {"<a>": 256}


def test_a_special_token_may_hold_another():
    tokenizer = train_bpe("abc", 258, special_tokens=["<b>", "<a><b>"])
    assert tokenizer.encode("x<a><b>", {"<a><b>"})[1:] == [257]
    assert tokenizer.encode("<a><b><b>", "all") == [257, 256]
    with pytest.raises(TokenizerError, match="'<b>' at position 6"):
        tokenizer.encode("<a><b><b>", {"<a><b>"})


def test_a_character_tokenizer_may_have_special_tokens(tmp_path):
    tokenizer = CharTokenizer("abc", ["<|endoftext|>", "<|mask|>"])
    assert tokenizer.special_tokens == {"<|endoftext|>": 3, "<|mask|>": 4}
    assert tokenizer.vocab_size == 5 and tokenizer.characters == "abc"
    ids = tokenizer.encode("a<|mask|>c", allowed_special="all")
    assert ids == [0, 4, 2] and tokenizer.decode(ids) == "a<|mask|>c"
    with pytest.raises(TokenizerError, match="'<|mask|>' at position 1"):
        tokenizer.encode("a<|mask|>c")
    with pytest.raises(TokenizerError, match="outside this tokenizer's 0..4"):
        tokenizer.decode([5])
    tokenizer.save(tmp_path / "t.json")
    again = load(tmp_path / "t.json")
    assert again.to_json() == tokenizer.to_json() and again.decode([3, 4, 1]) == (
        "<|endoftext|><|mask|>b"
    )
    assert pickle.loads(pickle.dumps(again)).special_tokens == tokenizer.special_tokens
    assert "special_tokens" not in CharTokenizer("abc").to_json()  # files as they always were
