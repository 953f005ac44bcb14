"""What makes a vocabulary: refused when it cannot be, alike in C and Python when it can."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import random
import tracemalloc

import numpy as np
import pytest

from tinygpt.tokenizer import (
    BPETokenizer,
    CharTokenizer,
    TokenizerError,
    bpe,
    compiled,
    huggingface,
    load,
    naive,
    tiktoken_ranks,
    train_bpe,
)
from tinygpt.tokenizer.bpe import (
    BYTE_IDS,
    BYTES,
    PythonEncoder,
    merge,
    merge_long,
    merge_short,
)

needs_c = pytest.mark.skipif(not compiled.available(), reason="needs the C extension")
A, B, C = (BYTE_IDS[byte] for byte in b"abc")
DOUBLING = [(A, A), *((256 + k, 256 + k) for k in range(28))]


@pytest.mark.parametrize(
    ("made_from", "message"),
    [
        ({"merges": [(65, 65), (65, 65)]}, "merge 1 .* which merge 0 joins already"),
        ({"merges": [(A, B), (B, C), (A, B)]}, "merge 2 .* which merge 0 joins already"),
        ({"merges": [(A, 257), (A, B)]}, "joins the token 257, which is unknown"),
        ({"merges": [(256, A)]}, "joins the token 256, which is unknown"),
        ({"merges": [(257, A), (256, A)]}, "joins the token 257, which is unknown"),
        ({"merges": [(A, B), (256, C), (B, C), (A, 258)]}, "both b'abc'"),
        ({"merges": [(A, B), (B, C)], "merged_ids": [300, 300]}, "300 .* is taken twice"),
        ({"merges": [(A, B)], "merged_ids": [A]}, "is taken twice"),
        ({"merges": [(A, B)], "merged_ids": []}, "1 merges and 0 ids"),
        ({"merges": [(A, B, C)]}, "not pairs"),
        ({"merges": [(A, B), (A,)]}, "not pairs"),
        ({"merges": [(A, 1.5)]}, "whole numbers"),
        ({"merges": [(A, -1)]}, "outside 0"),
        ({"merges": [(A, B)], "merged_ids": [2**31 - 1]}, "outside 0"),
        ({"merges": [], "extra_tokens": {b"ab": 256, b"abc": 256}}, "taken twice"),
        ({"merges": [], "extra_tokens": {b"": 256}}, "is empty"),
        ({"merges": [], "extra_tokens": {b"ab": -1}}, "the extra tokens .* outside 0"),
        ({"merges": [], "extra_tokens": {b"ab": 300.5}}, "the extra tokens .* whole numbers"),
        ({"merges": [(A, B)], "extra_tokens": {b"ab": 300}}, "both b'ab'"),
        ({"merges": [], "byte_ids": [0] * 256}, "256 different ids"),
        ({"merges": [], "byte_ids": range(255)}, "256 different ids"),
        ({"merges": [], "special_tokens": {"x": 65}}, "which is taken"),
        ({"merges": [(A, B)], "special_tokens": {"x": 256}}, "which is taken"),
        ({"merges": [], "special_tokens": {"x": 256, "y": 256}}, "'y' has the id 256, which"),
        ({"merges": [], "special_tokens": {"x": -1}}, "outside 0"),
        ({"merges": [], "special_tokens": {"x": 2**31 - 1}}, "outside 0"),
        ({"merges": [], "special_tokens": {"": 256}}, "would stand everywhere"),
        ({"merges": [], "special_tokens": {"\ud800": 256}}, "half a character"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(made_from, message):
    with pytest.raises(TokenizerError, match=message):
        BPETokenizer(**made_from)


@pytest.mark.parametrize("name", ["", "\ud800"])
def test_a_special_token_that_cannot_be_is_refused_before_any_training(name):
    with pytest.raises(TokenizerError, match="special token"):
        train_bpe(iter(()), 300, special_tokens=(name,))  # the text is empty, and not asked for


def test_a_file_whose_merges_double_is_refused_before_it_takes_memory(tmp_path):
    """Faults 21: 450 bytes that would spell 2 GB."""
    data = {"format": "tinygpt-bpe", "version": 1, "pattern": "gpt2", "special_tokens": {},
            "merges": DOUBLING}
    (tmp_path / "t").write_text(json.dumps(data, separators=(",", ":")))
    assert (tmp_path / "t").stat().st_size < 450
    tracemalloc.start()
    with pytest.raises(TokenizerError, match="together its tokens would have more than 16 MiB"):
        load(tmp_path / "t")
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()


def test_tokens_may_be_long_while_all_together_are_not():
    tokenizer = BPETokenizer(DOUBLING[:16])
    assert tokenizer.encode(b"a" * 2**16) == [271]


def test_bytes_have_the_ids_that_gpt2_gave_them():
    known = {0x21: 0, 0x61: 64, 0x7E: 93, 0xA1: 94, 0xAC: 105, 0xAE: 106, 0xFF: 187}
    known |= {0x00: 188, 0x0A: 198, 0x20: 220, 0x7F: 221, 0xA0: 254, 0xAD: 255}
    assert {byte: BYTE_IDS[byte] for byte in known} == known
    assert sorted(BYTE_IDS) == list(range(256)) and BYTES[BYTE_IDS[65]] == 65


@pytest.mark.parametrize("length", [1, 63, 64, 65, 66, 200])
def test_short_and_long_words_are_merged_alike(length):
    rng = random.Random(length)
    ranks = {(A, B): (0, 256), (256, A): (1, 257), (A, A): (2, 258), (257, 258): (3, 259)}
    for _ in range(20):
        ids = rng.choices([A, B], k=length)
        kept = list(ids)
        assert merge_long(ids, ranks) == merge_short(ids, ranks) == merge(ids, ranks)
        assert ids == kept and naive.encode(ids, list(ranks)) == merge(ids, ranks)


def test_words_are_forgotten_when_too_many_are_remembered(monkeypatch):
    monkeypatch.setattr(bpe, "_CACHE_WORDS", 3)
    encoder = PythonEncoder(r"\w+|\W", range(256), [(97, 98)], [256], {b"xyz": 300})
    for text, ids in (("ab cd", [256, 32, 99, 100]), ("xyz ab", [300, 32, 256]), ("", [])):
        assert encoder.encode(text.encode(), np.dtype(np.uint16)).tolist() == ids
    assert set(encoder._cache) == {b"xyz", b" ", b"ab"}  # ab, space, cd went when xyz came


def test_ids_are_below_four_million():
    most = 2**22 - 1
    assert BPETokenizer([(A, B)], merged_ids=[most]).encode("ab") == [most]
    with pytest.raises(TokenizerError, match=r"merged tokens .* the id 4194304, outside 0"):
        BPETokenizer([(A, B)], merged_ids=[most + 1])


def test_spellings_may_have_sixteen_mebibytes_and_256_bytes_for_each_token():
    merges = DOUBLING[:23]  # 2**24 - 2 bytes
    room = 2**24 + 256 * (256 + 23 + 1) - (2**24 - 2)
    BPETokenizer(merges, extra_tokens={b"b" * room: 900})
    with pytest.raises(TokenizerError, match="more than 16 MiB and 256 bytes each"):
        BPETokenizer(merges, extra_tokens={b"b" * (room + 1): 900})
    with pytest.raises(TokenizerError, match="makes a token of 2 bytes: together"):
        BPETokenizer([*merges, (A, B)], extra_tokens={b"b" * (room + 256): 900})


def test_several_merges_may_make_one_token():
    merges = [(A, B), (B, C), (256, C), (A, 257)]
    tokenizer = BPETokenizer(merges, merged_ids=[256, 257, 258, 258])
    assert tokenizer.encode("abc") == [258] and tokenizer.decode([258]) == "abc"


# --- C and Python encode alike, whatever was let through ------------------------------------------


def random_merges(rng: random.Random) -> list[tuple[int, int]]:
    """Merges of few letters, most of which meet; some can never come up."""
    tokens, merges = [A, B, C], []
    for _ in range(rng.randrange(1, 25)):
        merges.append((rng.choice(tokens), rng.choice(tokens)))
        tokens.append(255 + len(merges))
    return merges


@needs_c
def test_random_vocabularies_encode_alike_in_c_in_python_and_naively(monkeypatch):
    rng = random.Random(0)
    words = [bytes(rng.choices(b"abc", k=rng.randrange(1, 30))) for _ in range(20)]
    words += [bytes(rng.choices(b"abc", k=200)), b"a" * 99]
    made = refused = 0
    while made < 80:
        merges = random_merges(rng)
        try:
            fast = BPETokenizer(merges)
        except TokenizerError:
            refused += 1
            continue
        with monkeypatch.context() as patch:
            patch.setenv("TINYGPT_TOKENIZER", "python")
            slow = BPETokenizer(merges)
        for word in words:
            ids = fast.encode(word)
            assert ids == slow.encode(word)
            assert ids == naive.encode([BYTE_IDS[byte] for byte in word], merges), (merges, word)
        made += 1
    assert refused > 5


@pytest.mark.parametrize("engine", [pytest.param("c", marks=needs_c), "python"])
def test_random_rank_files_encode_as_in_tiktoken_or_are_refused(engine, monkeypatch):
    tiktoken = pytest.importorskip("tiktoken")
    monkeypatch.setenv("TINYGPT_TOKENIZER", engine)
    rng = random.Random(1)
    words = [bytes(rng.choices(b"abc", k=rng.randrange(1, 30))).decode() for _ in range(25)]
    made = refused = extra = 0
    while made < 80:
        ranks = {bytes([byte]): byte for byte in range(256)}
        for _ in range(rng.randrange(1, 15)):
            if rng.random() < 0.8:  # two tokens joined, or any letters
                token = b"".join(rng.choices([t for t in ranks if set(t) <= set(b"abc")], k=2))
            else:
                token = bytes(rng.choices(b"abc", k=rng.randrange(2, 6)))
            ranks.setdefault(token, len(ranks))
        data = b"".join(b"%s %d\n" % (base64.b64encode(t), rank) for t, rank in ranks.items())
        try:
            ours = tiktoken_ranks.read(data, "gpt2", None)
        except TokenizerError as error:
            assert "of a higher rank" in str(error)
            refused += 1
            continue
        theirs = tiktoken.Encoding("x", pat_str=r"\p{L}+", mergeable_ranks=ranks, special_tokens={})
        for word in words:
            assert ours.encode(word) == theirs.encode_ordinary(word), (ranks, word)
        made += 1
        extra += bool(ours.extra_tokens)
    assert refused and extra > 5


def test_a_token_of_a_megabyte_in_a_rank_file_takes_no_square_of_its_length(tmp_path):
    """Faults 21. The square would take hours."""
    ranks = {bytes([byte]): byte for byte in range(256)}
    ranks |= {b"a" * 2**k: 255 + k for k in range(1, 20)}
    ranks[random.Random(0).randbytes(10**5)] = 400
    lines = [b"%s %d" % (base64.b64encode(token), rank) for token, rank in ranks.items()]
    (tmp_path / "t").write_bytes(b"\n".join(lines))
    ours = load(tmp_path / "t", pattern="gpt2")
    assert len(ours.merges) == 19 and len(ours.extra_tokens) == 1
    assert ours.encode("a" * 2**19) == [274]


def test_a_huggingface_file_with_every_way_to_write_a_token_encodes_as_there(tmp_path):
    """So does a file that was converted from ranks: it lists each way to make each token."""
    tokenizers = pytest.importorskip("tokenizers")
    ours = train_bpe("the then there other than this that hath the " * 9, 290, special_tokens=())
    name = {token: huggingface.spell(data) for token, data in ours.token_bytes.items()}
    vocab = {text: token for token, text in name.items()}
    every = [
        [text[:cut], text[cut:]]
        for token, text in sorted(name.items()) for cut in range(1, len(text))
        if text[:cut] in vocab and text[cut:] in vocab
    ]
    assert len(every) > len(ours.merges)
    data = json.loads(huggingface.write(ours))
    data["model"]["merges"] = every
    (tmp_path / "tokenizer.json").write_text(json.dumps(data))
    again = load(tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_str(json.dumps(data))
    rng = random.Random(0)
    for _ in range(200):
        text = "".join(rng.choices("then oasir", k=20))
        assert again.encode(text) == ours.encode(text) == theirs.encode(text).ids


def test_a_huggingface_file_whose_order_is_no_order_is_refused(tmp_path):
    data = json.loads(huggingface.write(BPETokenizer([(A, B), (256, C)], special_tokens={})))
    data["model"]["merges"].reverse()
    (tmp_path / "tokenizer.json").write_text(json.dumps(data))
    with pytest.raises(TokenizerError, match="stands before one of them is made"):
        load(tmp_path / "tokenizer.json")


# --- damaged files end in a sentence --------------------------------------------------------------


@pytest.mark.parametrize("form", ["tinygpt", "huggingface", "tiktoken", "char"])
def test_mutated_files_open_or_end_in_a_sentence(form, tmp_path):
    from tinygpt.tokenizer import export

    rng, path = random.Random(form), tmp_path / "t"
    if form == "char":
        CharTokenizer.train("the cät ").save(path)
    else:
        export(train_bpe("the cat sat on the mat " * 9, 300, pattern="gpt2"), path, form)
    whole = path.read_bytes()
    opened = 0
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(rng.choice([1, 1, 3])):
            at = rng.randrange(len(data))
            data[at : at + rng.randrange(12)] = rng.choice(
                [b"", b"null", b"-1", b"1e999", b"[", b'"', b"\xff", b"9" * 30, bytes(data[:20])]
            )
        path.write_bytes(data)
        try:
            tokenizer = load(path)
            assert tokenizer.decode(tokenizer.encode("the cat")) == "the cat"
            opened += 1
        except TokenizerError as error:
            assert len(str(error)) > 20
    assert opened < 150


# --- pickled and copied ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda tokenizer: pickle.loads(pickle.dumps(tokenizer))]
)
def test_tokenizers_are_pickled_and_copied_as_what_they_were_made_from(copied):
    extra = {bytes([120, 121]): 400}
    for tokenizer in (
        train_bpe("the cat sat on the mat " * 9, 300, pattern="o200k"),
        BPETokenizer([(A, B)], r"\S+|\s", {"<x>": 500}, merged_ids=[300], extra_tokens=extra,
                     whole_words=True),
        CharTokenizer.train("the cat xyab"),
    ):
        again = copied(tokenizer)
        assert again.to_json() == tokenizer.to_json()
        assert again.encode("the cat xy ab") == tokenizer.encode("the cat xy ab")
