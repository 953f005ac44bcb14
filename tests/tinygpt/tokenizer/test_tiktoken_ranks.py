"""Rank files: which merges are read off them, and what cannot be one. No peer is needed here."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from tinygpt.tokenizer import BPETokenizer, TokenizerError, compiled
from tinygpt.tokenizer.bpe import BYTE_IDS
from tinygpt.tokenizer.tiktoken_ranks import looks_like, read, recover_merges, write

A, B, C = (BYTE_IDS[byte] for byte in b"abc")
needs_c = pytest.mark.skipif(not compiled.available(), reason="needs the C extension")


@pytest.fixture(params=[pytest.param("c", marks=needs_c), "python"])
def engine(request, monkeypatch):
    monkeypatch.setenv("TINYGPT_TOKENIZER", request.param)


def ranks(*tokens, first=256):
    """A file of the 256 bytes and then of `tokens`, whose ranks count from `first`."""
    every = [bytes([byte]) for byte in range(256)] + list(tokens)
    numbers = [*range(256), *range(first, first + len(tokens))]
    return b"".join(
        b"%s %d\n" % (base64.b64encode(t), n) for t, n in zip(every, numbers, strict=True)
    )


def test_a_token_is_made_of_the_two_that_earlier_merges_leave_of_it(engine):
    tokens = [b"a", b"b", b"c", b"ab", b"bc", b"abc", b"abab", b"aab", b"ca"]
    numbers = [10, 11, 12, 20, 21, 22, 23, 24, 25]
    merges, made, extra = recover_merges(tokens, numbers)
    assert merges.tolist() == [[10, 11], [11, 12], [20, 12], [20, 20], [10, 20], [12, 10]]
    assert made.tolist() == [20, 21, 22, 23, 24, 25] and extra == {}


def test_a_token_of_which_more_is_left_is_none_that_merges_make(engine):
    tokens = [b"a", b"b", b"c", b"ab", b"cab", b"ccab", b"abba"]
    merges, made, extra = recover_merges(tokens, range(7))
    assert merges.tolist() == [[0, 1], [2, 3], [2, 4]] and made.tolist() == [3, 4, 5]
    assert extra == {b"abba": 6}  # ab, b, a


def test_a_token_that_only_later_tokens_make_is_refused(engine):
    with pytest.raises(TokenizerError, match="b'abc'.* higher rank"):
        recover_merges([b"a", b"b", b"c", b"abc", b"ab"], range(5))
    assert recover_merges([b"a", b"b", b"c", b"ab", b"abc"], range(5))[2] == {}


def test_both_engines_read_the_same_off_every_file(monkeypatch):
    rng = np.random.default_rng(0)
    for _ in range(30):
        tokens = [b"a", b"b", b"c"]
        for _ in range(8):
            token = b"".join(tokens[k] for k in rng.integers(0, len(tokens), 2))
            tokens += [token] if token not in tokens else []
        answers = []
        for engine in ("c", "python"):
            monkeypatch.setenv("TINYGPT_TOKENIZER", engine if compiled.available() else "python")
            try:
                answers.append([str(part) for part in recover_merges(tokens, range(len(tokens)))])
            except TokenizerError as error:
                answers.append(str(error))
        assert answers[0] == answers[1], tokens


def test_a_file_gives_its_tokens_their_ranks(engine):
    tokenizer = read(ranks(b"ab", b"abc", b"xyz", first=300), "gpt2", {"<end>": 900})
    assert tokenizer.encode("abc ab xyz") == [301, 32, 300, 32, 120, 121, 122]
    assert tokenizer.encode("xyz") == [302] and tokenizer.extra_tokens == {b"xyz": 302}
    assert tokenizer.encode("<end>", allowed_special="all") == [900]
    assert read(write(tokenizer).encode(), "gpt2", {"<end>": 900}).to_json() == tokenizer.to_json()
    assert not read(ranks(b"ab"), "gpt2", None).whole_words


def test_the_order_of_the_lines_says_nothing():
    data = ranks(b"ab", b"abc")
    lines = data.splitlines(keepends=True)
    for other in ([*lines[:-2], lines[-1], lines[-2]], lines[::-1]):
        shuffled = read(b"".join(other), "gpt2", None)
        assert shuffled.to_json() == read(data, "gpt2", None).to_json()


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (b"YWI= 256\nYWJj\n", "line 258 is not 'base64 rank': b'YWJj'"),
        (b"YWI= 256 \xe9\n", "line 257 is not"),
        (b"Y-W-I= 256\n", "line 257 is not"),  # a decoder passes over what is no base64
        (b"YW=I= 256\n", "line 257 is not"),
        (b"= 256\n", "line 257 is not"),
        (b"YWI= 256\n\nYWJj -7\n", "line 259 is not"),
        (b"YWI= 256\nYWI= 257\n", "line 258 repeats a token or a rank"),
        (b"YWI= 256\nYWJj 256\n", "line 258 repeats a token or a rank"),
        (b"YWIx9 256\n", "a token in it is not base64"),
        (b"YWI= " + b"9" * 5000 + b"\n", "or a rank is no number"),
        (b"YWI= 4194304\n", "the ranks of this tokenizer hold the id 4194304, outside"),
    ],
)
def test_what_is_no_rank_file_is_refused_with_its_line(tail, message):
    with pytest.raises(TokenizerError, match=message):
        read(ranks() + tail, "gpt2", None)


def test_a_file_that_lacks_bytes_names_the_first():
    lines = ranks().splitlines(keepends=True)
    with pytest.raises(TokenizerError, match=r"lacks 2 of the 256 bytes \(0x41 first\)"):
        read(b"".join(lines[:65] + lines[66:70] + lines[71:]), "gpt2", None)


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"YQ== 0\nYg== 1\n", True), (b"YQ== 0\r\nnothing", True), (b"YQ== 0", True),
        (b"YQ== \n", False), (b"{}", False), (b"\nYQ== 0", False), (b"YQ== 0 1\n", False),
        (b"Y" * 2000 + b" 1", False), (b"Y" * 2000 + b" 1\n", True),
    ],
)
def test_a_rank_file_is_known_by_its_first_line(data, answer):
    assert looks_like(data) == answer


def test_what_a_rank_file_cannot_say_is_refused():
    with pytest.raises(TokenizerError, match="not in the order of its merges"):
        write(BPETokenizer([(A, B), (B, C)], merged_ids=[301, 300]))
    with pytest.raises(TokenizerError, match="not in the order of its merges"):
        write(BPETokenizer([(A, B), (B, C), (C, A)], merged_ids=[300, 302, 301]))
    extra = {"merges": [(A, B)], "extra_tokens": {b"xyz": 400}}
    with pytest.raises(TokenizerError, match="tokens that no merge makes"):
        write(BPETokenizer(**extra))
    text = write(BPETokenizer(**extra, whole_words=True))
    assert text.splitlines()[-1] == "eHl6 400" and text.endswith("\n")
    assert len(text.splitlines()) == 258
    assert read(text.encode(), "gpt2", None).encode("xyz") == [400]
