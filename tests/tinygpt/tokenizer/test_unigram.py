"""Unigram of our own: trained, saved, read again; any bytes in and out."""

import json
import pickle
import random

import numpy as np
import pytest

from tinygpt.tokenizer import (
    TokenizerError,
    UnigramTokenizer,
    from_json,
    naive_unigram,
    train_unigram,
    unigram_trainer,
)
from tinygpt.tokenizer.unigram_trainer import digamma, learn_pieces

TEXT = "The cat sat on the mat, and the other cat sat on the hat. Café, naïve, 漢字漢字!\n" * 40


@pytest.fixture(scope="module")
def trained():
    return train_unigram(TEXT, 300)


def test_any_bytes_come_back(trained):
    for text in (TEXT, "漢 emoji 🎉\r\n", b"\xff\xfe\x00 caf\xc3", ""):
        ids = trained.encode_array(text, disallowed_special=())
        assert trained.decode_bytes(ids) == (text.encode() if isinstance(text, str) else text)


def test_it_is_as_large_as_asked_and_has_the_special_tokens_last(trained):
    assert trained.vocab_size <= 300
    assert trained.special_tokens["<|endoftext|>"] == 256 + len(trained.pieces)
    assert trained.encode("<|end|>", allowed_special="all") == [trained.special_tokens["<|end|>"]]


def test_frequent_words_are_pieces_and_characters_have_their_own(trained):
    assert {b" the", b" cat"} <= set(trained.pieces)
    assert {"漢".encode(), "é".encode()} <= set(trained.pieces)
    assert len(trained.encode("the cat sat on the mat")) < 9
    assert list(trained.scores[256:]) == sorted(trained.scores[256:], reverse=True)


def test_saved_and_read_again_it_gives_the_same_ids(trained, tmp_path):
    trained.save(tmp_path / "t.json")
    again = from_json((tmp_path / "t.json").read_text())
    assert isinstance(again, UnigramTokenizer) and again.pattern == "cl100k"
    assert again.encode(TEXT) == trained.encode(TEXT)
    assert again.to_json() == trained.to_json()
    assert pickle.loads(pickle.dumps(trained)).encode(TEXT) == trained.encode(TEXT)


def test_training_twice_gives_the_same_file(trained):
    assert train_unigram(TEXT, 300).to_json() == trained.to_json()


def test_without_c_it_is_the_same(monkeypatch):
    made = train_unigram(TEXT, 290)
    monkeypatch.setenv("TINYGPT_TOKENIZER", "python")
    plain = train_unigram(TEXT, 290)
    assert plain.pieces == made.pieces
    assert plain.scores == pytest.approx(made.scores, abs=1e-5)
    assert plain.encode(TEXT) == made.encode(TEXT)


def test_it_is_about_as_likely_as_what_the_naive_trainer_finds():
    chance = random.Random(0)
    parts = ["ka", "ri", "tomo", "su", "ne"]
    words = ["".join(chance.choices(parts, k=chance.randrange(1, 3))) for _ in range(60)]
    counts = {word: words.count(word) for word in words}
    pieces, scores = learn_pieces({w.encode(): n for w, n in counts.items()}, 5)
    ours = dict(zip((p.decode() for p in pieces), scores[256:].tolist(), strict=True))
    from tinygpt.tokenizer.bpe import BYTE_IDS

    ours |= {c: float(scores[BYTE_IDS[ord(c)]]) for c in "".join(parts)}
    theirs = naive_unigram.train(counts, 5 + len(set("".join(parts))))
    assert {"ka", "ri", "tomo", "su", "ne"} <= set(theirs)
    assert set(parts) <= set(ours)
    likelihood = [naive_unigram.expect(counts, scores)[1] for scores in (ours, theirs)]
    assert likelihood[0] > 1.05 * likelihood[1]  # both are negative


def test_digamma_is_the_slope_of_log_gamma():
    from math import lgamma

    for x in (0.1, 0.5, 1.0, 3.3, 6.0, 50.0, 1e6):
        h = 1e-4 * x
        assert digamma(np.array([x]))[0] == pytest.approx((lgamma(x + h) - lgamma(x - h)) / (2 * h),
                                                          rel=1e-5, abs=1e-6)


def test_too_little_is_refused():
    with pytest.raises(TokenizerError, match="too small"):
        train_unigram(TEXT, 100)
    with pytest.raises(TokenizerError, match="no text"):
        train_unigram("", 300)


def test_little_text_makes_a_small_vocabulary():
    assert len(train_unigram("ab", 400).pieces) == 0
    assert train_unigram("ab ab", 400).decode(train_unigram("ab ab", 400).encode("ba")) == "ba"


@pytest.mark.parametrize(("change", "message"), [
    ({"pieces": [["YQ==", -1.0]]}, "two bytes or more"),
    ({"pieces": [["YWI=", -1.0], ["YWI=", -2.0]]}, "are both b'ab'"),
    ({"pieces": [["?", -1.0]]}, "not base64"),
    ({"pieces": [["YWI=", float("nan")]]}, "no number"),
    ({"pieces": [["YWI="]]}, "must list"),
    ({"byte_scores": [0.0] * 255}, "needs"),
    ({"pattern": 3}, "'pattern'"),
    ({"special_tokens": {"<x>": 97}}, "which is taken"),
    ({"special_tokens": {"<x>": 1.5}}, "must map names to ids"),
    ({"version": 2}, "version 2"),
])
def test_a_damaged_file_is_refused(trained, change, message):
    data = json.loads(trained.to_json())
    with pytest.raises(TokenizerError, match=message):
        from_json(json.dumps(data | change))


def test_rare_characters_are_left_to_bytes():
    words = [("漢".encode(), 9999), ("字".encode(), 1), (b"ab\xff", 2), ("é".encode(), 5)]
    assert unigram_trainer.characters(words) == ["漢".encode(), "é".encode()]
