"""Encoding in blocks and threads gives the ids of the whole text."""

from __future__ import annotations

import io
import threading

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import minigrad
from tinygpt.tokenizer import CharTokenizer, train_bpe
from tinygpt.tokenizer.parallel import blocks, encode_many, encode_stream, parts
from tinygpt.tokenizer.pretokenize import PATTERNS, automaton

TEXT = "It's a cat.\n\n  And 1234 dogs, it's true!\n中文。\n再来\tx = 3 \r\n" * 40


@pytest.fixture(scope="module", params=[*sorted(PATTERNS), r"\S+|\s+", r"(?<=b)c|\w"])
def bpe(request):
    return train_bpe(TEXT, 300, pattern=request.param)


@settings(deadline=None, max_examples=150)
@example(b"\n\na", 1)
@example("a中".encode(), 2)
@given(
    st.text(alphabet="abs1²' .\n\r\t\u3000中é\u0301", max_size=60).map(str.encode)
    | st.binary(max_size=40),
    st.integers(1, 40),
)
def test_blocks_cut_where_the_patterns_cut(bpe, data, size):
    if automaton(bpe.pattern) is None:
        return
    parts = list(blocks(io.BytesIO(data), bpe.pattern, size))
    assert b"".join(parts) == data
    assert [token for part in parts for token in bpe.encode(part)] == bpe.encode(data)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_stream_gives_the_ids_of_the_text(bpe, workers):
    parts = encode_stream(bpe, io.BytesIO(TEXT.encode()), workers)
    assert np.array_equal(np.concatenate(list(parts)), bpe.encode_array(TEXT))


@pytest.mark.parametrize("workers", [1, 3])
def test_many_texts_come_back_in_order(bpe, workers):
    texts = [TEXT[i : 2 * i] for i in range(50)]
    results = list(encode_many(bpe, texts, workers))
    assert [r.tolist() for r in results] == [bpe.encode(text) for text in texts]


def test_an_error_in_one_text_reaches_the_caller():
    tokenizer = CharTokenizer.train("abc")
    with pytest.raises(ValueError, match="'z'"):
        list(encode_many(tokenizer, ["a"] * 20 + ["z"] + ["a"] * 20, 2))


def test_reading_ahead_is_bounded(bpe):
    taken = []

    def texts():
        for number in range(100):
            taken.append(number)
            yield TEXT

    results = encode_many(bpe, texts(), workers=2)
    next(results)
    assert len(taken) <= 6
    results.close()


@pytest.mark.parametrize("count", [1, 3])
def test_the_number_of_threads_binds_the_workers(count):
    seen, together = set(), threading.Barrier(count, timeout=20)

    class Tokenizer:
        def encode_array(self, text, disallowed_special):
            together.wait()  # all of them at work at once, and one alone never waits
            seen.add(threading.get_ident())
            return np.zeros(1)

    before = minigrad.get_num_threads()
    minigrad.set_num_threads(count)
    try:
        assert len(list(encode_many(Tokenizer(), "x" * 4 * count))) == 4 * count
    finally:
        minigrad.set_num_threads(before)
    assert len(seen) == count
    assert (threading.get_ident() in seen) == (count == 1)


def test_a_text_without_a_safe_cut_is_one_block():
    assert list(blocks(io.BytesIO(b"a" * 50), "gpt2", 4)) == [b"a" * 50]
    assert list(blocks(io.BytesIO(b""), "gpt2", 4)) == []


def test_blocks_are_about_as_large_as_asked():
    data = b"word, " * 100
    parts = list(blocks(io.BytesIO(data), "gpt2", 60))
    assert b"".join(parts) == data and len(parts) >= 9
    assert all(0 < len(part) <= 66 for part in parts)


def test_a_cut_far_before_the_end_is_found_too():
    data = b"one,two" + b"a" * 9000
    assert list(blocks(io.BytesIO(data + b".x"), "gpt2", len(data)))[0] == b"one,"


def test_a_pattern_without_a_table_has_no_safe_cuts():
    pattern = r"(?<=b)c|\w"
    with pytest.raises(ValueError, match="has no table"):
        list(blocks(io.BytesIO(b"abc"), pattern))
    assert list(parts(train_bpe("abc", 262, pattern=pattern), io.BytesIO(b"abc"))) == [b"abc"]
    assert list(parts(CharTokenizer("ab"), io.BytesIO(b"ab"))) == [b"ab"]


def test_one_worker_reads_nothing_ahead():
    taken = []
    results = encode_many(CharTokenizer("a"), (taken.append(n) or "a" for n in range(9)), 1)
    next(results)
    assert len(taken) == 1
