"""Files of other programs: what is trained here gives the same ids there, and theirs here.

The peers (tokenizers, transformers, tiktoken) are oracles: without them the tests skip.
"""

from __future__ import annotations

import doctest
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygpt.tokenizer import (
    BPETokenizer,
    TokenizerError,
    export,
    from_json,
    huggingface,
    load,
    tiktoken_ranks,
    train_bpe,
)
from tinygpt.tokenizer.bpe import BYTE_IDS, MISSING
from tinygpt.tokenizer.pretokenize import PATTERNS, split

TEXT = "It's the cat's hat; WE'LL see 12345 of them!\n\n\tdef f(x): return x ** 2  # naïve café €\n"
TEXT = TEXT * 4 + "Peter Piper picked a peck of pickled peppers.\r\n  \n " * 3
SAMPLES = st.one_of(
    st.text(alphabet="aehtsIWL'l 12.!\n\r\té€中 ", max_size=60), st.text(max_size=40)
)


@pytest.fixture(scope="module", params=sorted(PATTERNS))
def ours(request):
    return train_bpe(TEXT, 340, pattern=request.param)


@pytest.mark.parametrize("module", [huggingface, tiktoken_ranks])
def test_docstring_examples(module):
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("form", ["tinygpt", "huggingface", "tiktoken"])
def test_every_format_comes_back_the_same(ours, form, tmp_path):
    export(ours, tmp_path / "t", form)
    known = {"pattern": ours.pattern, "special_tokens": ours.special_tokens}
    again = load(tmp_path / "t", **(known if form == "tiktoken" else {}))
    assert again.merges == ours.merges
    assert (again.pattern, again.special_tokens) == (ours.pattern, ours.special_tokens)
    assert again.encode(TEXT) == ours.encode(TEXT)


# --- Hugging Face -------------------------------------------------------------------------------


def test_huggingface_gives_the_same_ids(ours, tmp_path):
    peer = pytest.importorskip("tokenizers")
    export(ours, tmp_path / "tokenizer.json", "huggingface")
    theirs = peer.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))

    @settings(max_examples=300, deadline=None)
    @given(SAMPLES)
    def check(text):
        ids = ours.encode(text, disallowed_special=())
        if not any(name in text for name in ours.special_tokens):
            assert theirs.encode(text).ids == ids
        assert theirs.decode(ids, skip_special_tokens=False) == text

    check()
    special = theirs.encode("hi<|end|>").ids
    assert special == ours.encode("hi<|end|>", allowed_special="all")


def test_transformers_gives_the_same_ids(ours, tmp_path):
    peer = pytest.importorskip("transformers")
    export(ours, tmp_path / "tokenizer.json", "huggingface")
    theirs = peer.PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))
    assert theirs.encode(TEXT) == ours.encode(TEXT)
    assert theirs.decode(ours.encode(TEXT), clean_up_tokenization_spaces=False) == TEXT


@pytest.fixture(params=sorted(PATTERNS))
def trained_there(request):
    peer = pytest.importorskip("tokenizers")
    theirs = peer.Tokenizer(peer.models.BPE())
    byte_level = peer.pre_tokenizers.ByteLevel
    theirs.pre_tokenizer = peer.pre_tokenizers.Sequence(
        [
            peer.pre_tokenizers.Split(peer.Regex(PATTERNS[request.param]), behavior="isolated"),
            byte_level(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = peer.trainers.BpeTrainer(
        vocab_size=340,
        min_frequency=2,
        show_progress=False,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=byte_level.alphabet(),
    )
    theirs.train_from_iterator([TEXT], trainer)
    return request.param, theirs


def test_merges_are_those_of_huggingface(trained_there):
    pattern, theirs = trained_there
    ours = train_bpe(TEXT, 340, pattern=pattern, special_tokens=("<|endoftext|>",))
    merges = json.loads(theirs.to_str())["model"]["merges"]
    name = {token: huggingface.spell(data) for token, data in ours.token_bytes.items()}
    assert [[name[left], name[right]] for left, right in ours.merges] == [list(m) for m in merges]


@pytest.mark.parametrize("merges_as", ["pairs", "strings"])
def test_a_tokenizer_trained_there_opens_here(trained_there, tmp_path, merges_as):
    pattern, theirs = trained_there
    data = json.loads(theirs.to_str())
    if merges_as == "strings":
        data["model"]["merges"] = [" ".join(pair) for pair in data["model"]["merges"]]
    (tmp_path / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    ours = load(tmp_path / "tokenizer.json")
    assert (ours.pattern, ours.special_tokens) == (pattern, {"<|endoftext|>": 0})

    @settings(max_examples=100, deadline=None)
    @given(SAMPLES)
    def check(text):
        assert ours.encode(text) == theirs.encode(text).ids

    check()
    ours.save(tmp_path / "again.json")
    assert load(tmp_path / "again.json").encode(TEXT) == ours.encode(TEXT)


# --- tiktoken -----------------------------------------------------------------------------------


def test_tiktoken_gives_the_same_ids(ours, tmp_path):
    peer = pytest.importorskip("tiktoken")
    from tiktoken.load import load_tiktoken_bpe

    export(ours, tmp_path / "ranks.tiktoken", "tiktoken")
    theirs = peer.Encoding(
        "ours",
        pat_str=PATTERNS[ours.pattern],
        mergeable_ranks=load_tiktoken_bpe(str(tmp_path / "ranks.tiktoken")),
        special_tokens=ours.special_tokens,
    )

    @settings(max_examples=300, deadline=None)
    @given(SAMPLES)
    def check(text):
        assert theirs.encode_ordinary(text) == ours.encode(text, disallowed_special=())

    check()
    assert theirs.n_vocab == ours.vocab_size
    special = "a<|end|>b"
    assert theirs.encode(special, allowed_special="all") == ours.encode(special, "all")
    for encoder in (theirs, ours):
        with pytest.raises(ValueError, match="special token"):
            encoder.encode(special)


def test_tokens_that_no_merge_makes_are_taken_whole(tmp_path):
    """As tiktoken does, and Llama 3's tokenizer.json with ignore_merges."""
    peer = pytest.importorskip("tiktoken")
    ranks = {bytes([byte]): byte for byte in range(256)} | {b"ab": 256, b" hello": 257}
    lines = [f"{tiktoken_ranks.base64.b64encode(t).decode()} {i}" for t, i in ranks.items()]
    (tmp_path / "t").write_text("\n".join(lines))
    ours = load(tmp_path / "t", pattern="gpt2")
    assert ours.extra_tokens == {b" hello": 257}
    theirs = peer.Encoding("x", pat_str=PATTERNS["gpt2"], mergeable_ranks=ranks, special_tokens={})
    text = "ab hello hello, hellob"
    assert ours.encode(text) == theirs.encode_ordinary(text)
    ours.save(tmp_path / "again.json")
    assert load(tmp_path / "again.json").encode(text) == ours.encode(text)


# --- bad files ----------------------------------------------------------------------------------


def hugging(**changes):
    vocab = {character: i for i, character in enumerate(huggingface.CHARACTERS)}
    model = {"type": "BPE", "vocab": vocab, "merges": []}
    for key in ("type", "vocab", "merges"):
        if key in changes:
            model[key] = changes.pop(key)
    pre = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
    return json.dumps({"model": model, "pre_tokenizer": pre} | changes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (hugging(type="WordLevel"), "WordLevel, not BPE"),
        (hugging(normalizer={"type": "NFKC"}), "normalizes"),
        (hugging(pre_tokenizer={"type": "Metaspace"}), "not a plain byte-level"),
        (hugging(merges=[["a", "zzz"]]), "names a token that is not in the vocabulary"),
        (hugging(merges=["a b c"]), "not a pair"),
        (hugging(vocab={"a": 0}), "lacks 255 of the 256 bytes"),
        (hugging(vocab={"中": 0}), "not spelled in the byte-level alphabet"),
        ("YQ== 0\nnonsense\n", "line 2 is not 'base64 rank'"),
        ("YQ== 0\nYQ== 1\n", "line 2 repeats"),
        ("YQ== 0\n", "lacks 255 of the 256 bytes"),
    ],
)
def test_foreign_file_that_does_not_fit_is_refused_in_a_sentence(tmp_path, content, message):
    (tmp_path / "t").write_text(content, encoding="utf-8")
    with pytest.raises(TokenizerError, match=message):
        load(tmp_path / "t")


def test_a_plain_byte_level_file_is_gpt2(tmp_path):
    (tmp_path / "t").write_text(hugging(), encoding="utf-8")
    ours = load(tmp_path / "t")
    assert ours.pattern == "gpt2"
    assert len(ours.encode("Hi there")) == sum(map(len, split("Hi there", "gpt2")))


def test_a_file_that_composes_characters_is_read_and_kept():
    ours = train_bpe("café " * 50, 270)
    data = json.loads(huggingface.write(ours))
    data["normalizer"] = {"type": "NFC"}
    read = from_json(json.dumps(data))
    assert read.encode("cafe\u0301") == ours.encode("café") != ours.encode("cafe\u0301")
    for again in (from_json(read.to_json()), from_json(huggingface.write(read))):
        assert again.encode("cafe\u0301") == ours.encode("café")


def test_a_byte_without_an_id_is_left_out_and_the_rest_has_its_ids():
    """SmolLM2's vocabulary lacks 21 bytes that texts hardly have."""
    a, b = BYTE_IDS[ord("a")], BYTE_IDS[ord("b")]
    whole = BPETokenizer([(a, b)], "gpt2", {"<s>": 257})
    there = [MISSING if byte in (0x04, 0xFF) else i for byte, i in enumerate(BYTE_IDS)]
    lacking = BPETokenizer([(a, b)], "gpt2", {"<s>": 257}, there)
    for tokenizer in (lacking, from_json(lacking.to_json()), from_json(huggingface.write(lacking))):
        assert tokenizer.byte_ids == there
        assert tokenizer.vocab_size == 258
        assert tokenizer.encode(b"ab\x04ab\xff c") == whole.encode("abab c")
        assert tokenizer.decode(whole.encode("ab c")) == "ab c"
        with pytest.raises(TokenizerError):
            tokenizer.decode([258])
    assert lacking.encode(b"\x04\xff") == []
