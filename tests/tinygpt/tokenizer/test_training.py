"""Training: in C, in Python, naive, on disk and at Hugging Face: always the same merges."""

from __future__ import annotations

import io
import json
import os
import random
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygpt.machine.memory import resident_bytes
from tinygpt.tokenizer import BPETokenizer, TokenizerError, compiled, naive, train_bpe
from tinygpt.tokenizer.bpe import BYTE_IDS
from tinygpt.tokenizer.counting import WordCounts
from tinygpt.tokenizer.pretokenize import PATTERNS, split
from tinygpt.tokenizer.trainer import learn_merges, train_on_words

needs_c = pytest.mark.skipif(not compiled.available(), reason="needs the C extension")

# Few letters and many repeats: ties, overlaps (aaa) and runs are what trainers disagree about.
WORDS = st.lists(st.text(alphabet="ab", min_size=1, max_size=14), min_size=1, max_size=14)
WORDS = st.one_of(WORDS, st.lists(st.text(alphabet="abcde", min_size=1, max_size=8), min_size=1))


def counter_of(words) -> compiled.Counter:
    counter = compiled.Counter("gpt2")
    for word in words:
        counter.add_word(word.encode(), 1)
    return counter


@needs_c
@settings(max_examples=300, deadline=None)
@given(words=WORDS, n_merges=st.integers(0, 60))
def test_compiled_trainer_agrees_with_the_naive_one(words, n_merges):
    merges = compiled.MergeTrainer(counter_of(words), BYTE_IDS).run(n_merges, 1)
    spelled = [[BYTE_IDS[byte] for byte in word.encode()] for word in words]
    assert list(map(tuple, merges.tolist())) == naive.train(spelled, n_merges)


@settings(max_examples=60, deadline=None)
@given(words=WORDS, n_merges=st.integers(0, 30))
def test_the_trainer_to_read_agrees_with_the_naive_one(words, n_merges):
    counts = {word.encode(): words.count(word) for word in words}
    spelled = [[BYTE_IDS[byte] for byte in word.encode()] for word in words]
    assert learn_merges(counts, n_merges, min_count=1) == naive.train(spelled, n_merges)


def test_a_pair_that_others_took_from_is_merged_when_its_turn_comes():
    a, b, c, d = (BYTE_IDS[byte] for byte in b"abcd")
    counts = {b"ab": 8, b"abc": 4, b"bc": 6, b"cd": 7, b"dd": 1}
    # ab 12, bc 10 of which ab takes 4, cd 7
    assert learn_merges(counts, 3) == [(a, b), (c, d), (b, c)]
    assert learn_merges(counts, 9, min_count=5) == [(a, b), (c, d), (b, c)]
    assert learn_merges(counts, 9, min_count=7) == [(a, b), (c, d)]
    assert learn_merges(counts, 9, min_count=4)[3:] == [(256, c)]


def test_progress_is_told_every_256_merges():
    told = []
    words = {b"%d" % number: 1 for number in range(0, 10**6, 997)}
    merges = learn_merges(words, 600, 1, lambda *made: told.append(made))
    assert told == [(256, 600), (512, 600)] and len(merges) == 600


@needs_c
@settings(max_examples=100, deadline=None)
@given(
    words=WORDS, n_merges=st.integers(0, 60), min_count=st.integers(1, 3), n_runs=st.integers(1, 3)
)
def test_training_on_disk_gives_the_same_merges(
    tmp_path_factory, words, n_merges, min_count, n_runs
):
    folder = tmp_path_factory.mktemp("tape")
    runs = []
    for start in range(n_runs):
        runs.append(str(folder / f"run{start}"))
        counter_of(words[start::n_runs]).spill(runs[-1])
    tape = compiled.TapeTrainer(runs, str(folder), BYTE_IDS, 1 << 30)
    assert tape.n_words == len(set(words))
    expected = compiled.MergeTrainer(counter_of(words), BYTE_IDS).run(n_merges, min_count)
    assert tape.run(n_merges, min_count).tolist() == expected.tolist()


def many_words(seed: int) -> bytes:
    rng = random.Random(seed)
    letters = bytes(rng.choices(b"abcdefghij     ", k=1_000_000))
    return letters.replace(b"  ", b"")


@needs_c
def test_a_limit_on_memory_changes_nothing_but_the_place():
    text = many_words(1)
    with WordCounts("gpt2") as words:
        words.add(text)
        free = train_on_words(words, 400)
    with WordCounts("gpt2") as words:
        words._budget = 4 << 20  # what a limit would leave for tables
        words.add_stream(io.BytesIO(text))
        assert words.spilled and words._folder is not None
        limited = train_on_words(words, 400)
        assert len(words) == len(set(split(text, "gpt2")))
        folder = Path(words._folder)
        assert folder.is_dir()
    assert limited.merges == free.merges
    assert not folder.exists()


@needs_c
def test_a_limit_that_suffices_is_not_felt():
    limit = resident_bytes() + (200 << 20)
    assert (
        train_bpe("abab" * 50, 300, max_memory=limit).merges == train_bpe("abab" * 50, 300).merges
    )


@needs_c
def test_a_limit_below_the_program_itself_is_refused():
    with pytest.raises(TokenizerError, match="too small: the program itself takes"):
        train_bpe("abc", 300, max_memory=1_000_000)


@needs_c
def test_a_full_disk_is_said(monkeypatch, tmp_path):
    with WordCounts("gpt2") as words:
        words.add("some words")
        words._folder = str(tmp_path / "gone")
        with pytest.raises(TokenizerError, match="cannot write the words to .*gone"):
            words._spill(words._counter)


def test_a_limit_without_c_says_how_to_get_it(monkeypatch):
    monkeypatch.setenv("TINYGPT_TOKENIZER", "python")
    with pytest.raises(RuntimeError, match="needs the C extension: `unset TINYGPT_TOKENIZER`"):
        WordCounts("gpt2", 10**9)


def test_without_c_training_and_encoding_are_the_same(monkeypatch):
    text = "It's a cat's life, isn't it? 1234 times!\n\n" * 9 + "naïve café " * 3
    here = train_bpe(text, 300)
    monkeypatch.setenv("TINYGPT_TOKENIZER", "python")
    assert not compiled.available() and "TINYGPT_TOKENIZER=python" in compiled.what_runs()
    there = train_bpe(text, 300)
    assert there.merges == here.merges
    assert there.encode(text) == here.encode(text)


def test_an_unknown_implementation_is_refused(monkeypatch):
    monkeypatch.setenv("TINYGPT_TOKENIZER", "rust")
    with pytest.raises(ValueError, match="'rust' is not one of"):
        compiled.available()


def test_what_cannot_be_is_refused_before_any_text_is_read():
    def never():
        raise AssertionError("the text was asked for")
        yield ""

    with pytest.raises(TokenizerError, match="261 is too small"):
        train_bpe(never(), 261)
    with pytest.raises(TokenizerError, match="special token"):
        train_bpe(never(), 300, special_tokens=("",))


def test_documents_in_any_order_give_the_same_merges():
    documents = [f"{i} little birds, {i * i} wings. " * 3 for i in range(40)]
    forward = train_bpe(documents, 330)
    assert train_bpe(reversed(documents), 330).merges == forward.merges


def test_no_pre_token_crosses_two_documents():
    assert (
        train_bpe(["aa", "aa", "bb", "bb"], 270).merges == train_bpe(["aa", "bb"] * 2, 270).merges
    )
    assert len(train_bpe(["ab"] * 5, 300).merges) == 1


@settings(max_examples=60, deadline=None)
@given(words=WORDS, n_merges=st.integers(1, 40))
def test_merges_are_those_of_huggingface_on_hard_cases(words, n_merges):
    peer = pytest.importorskip("tokenizers")
    theirs = peer.Tokenizer(peer.models.BPE())
    byte_level = peer.pre_tokenizers.ByteLevel
    theirs.pre_tokenizer = peer.pre_tokenizers.Sequence(
        [
            peer.pre_tokenizers.Split(peer.Regex("_"), behavior="removed"),
            byte_level(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = peer.trainers.BpeTrainer(
        vocab_size=256 + n_merges,
        min_frequency=1,
        show_progress=False,
        initial_alphabet=byte_level.alphabet(),
    )
    theirs.train_from_iterator(["_".join(words)], trainer)
    vocab = theirs.get_vocab()
    counts: dict[bytes, int] = {}
    for word in words:
        counts[word.encode()] = counts.get(word.encode(), 0) + 1
    ours = learn_merges(counts, n_merges, min_count=1)
    merges = json.loads(theirs.to_str())["model"]["merges"]
    assert ours == [(vocab[left], vocab[right]) for left, right in merges]


@needs_c
@pytest.mark.slow
@pytest.mark.parametrize("pattern", sorted(PATTERNS))
def test_standard_library_is_the_same_everywhere(pattern):
    """Merges as Hugging Face's, ids as tiktoken's and Hugging Face's, on 31 MB of source."""
    tokenizers, tiktoken = pytest.importorskip("tokenizers"), pytest.importorskip("tiktoken")
    from tinygpt.tokenizer import huggingface

    texts = []
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).rglob("*.py")):
        if "site-packages" not in path.parts:
            texts.append(path.read_bytes().decode("utf-8", "ignore"))
    ours = train_bpe(texts, 32768, pattern=pattern, special_tokens=())
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    byte_level = tokenizers.pre_tokenizers.ByteLevel
    cut = tokenizers.pre_tokenizers.Split(tokenizers.Regex(PATTERNS[pattern]), behavior="isolated")
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [cut, byte_level(add_prefix_space=False, use_regex=False)]
    )
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=32768,
        min_frequency=2,
        show_progress=False,
        initial_alphabet=byte_level.alphabet(),
    )
    theirs.train_from_iterator(texts, trainer)
    name = {token: huggingface.spell(data) for token, data in ours.token_bytes.items()}
    merges = [list(m) for m in json.loads(theirs.to_str())["model"]["merges"]]
    assert [[name[left], name[right]] for left, right in ours.merges] == merges
    peer = tiktoken.Encoding(
        "ours",
        pat_str=PATTERNS[pattern],
        mergeable_ranks={data: token for token, data in ours.token_bytes.items()},
        special_tokens={},
    )
    for text in texts:
        ids = ours.encode(text)
        assert ids == peer.encode_ordinary(text)
        assert ours.decode(ids) == text
    assert [theirs.encode(text).ids for text in texts[:200]] == [
        ours.encode(t) for t in texts[:200]
    ]


@pytest.fixture(scope="module")
def thousand() -> BPETokenizer:
    return train_bpe(many_words(2)[:200_000] + b"aaaa " * 99 + b"\n    " * 99, 1000)


@needs_c
@pytest.mark.parametrize("name", ["one letter", "random bytes", "no space", "spaces", "newlines"])
def test_hard_megabytes_come_back(thousand, name):
    data = {
        "one letter": b"a" * 2**20,
        "random bytes": random.Random(0).randbytes(2**20),
        "no space": many_words(3).replace(b" ", b""),
        "spaces": b" " * 2**20,
        "newlines": b"\n" * 2**20,
    }[name]
    assert thousand.decode_bytes(thousand.encode_array(data)) == data


@pytest.mark.slow
def test_every_file_of_the_standard_library_comes_back():
    tokenizer = train_bpe(Path(os.__file__).read_bytes(), 1000)
    for path in Path(sysconfig.get_paths()["stdlib"]).rglob("*.py"):
        data = path.read_bytes()
        assert tokenizer.decode_bytes(tokenizer.encode(data, disallowed_special=())) == data


@pytest.mark.slow
def test_a_hundred_thousand_byte_strings_come_back():
    tokenizer = train_bpe(Path(os.__file__).read_bytes(), 1000)

    @settings(max_examples=100_000, deadline=None)
    @given(st.binary() | st.text().map(str.encode))
    def check(data):
        assert tokenizer.decode_bytes(tokenizer.encode(data, disallowed_special=())) == data

    check()
