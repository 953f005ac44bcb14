"""Damaged and foreign tokenizer files: each is refused for what is wrong with it."""

from __future__ import annotations

import json

import pytest

from tinygpt.tokenizer import BPETokenizer, CharTokenizer, TokenizerError, export, huggingface, load
from tinygpt.tokenizer.bpe import BYTE_IDS
from tinygpt.tokenizer.files import parse_json, read_bytes, write_text

A, B, C = (BYTE_IDS[byte] for byte in b"abc")
OURS = {
    "format": "tinygpt-bpe", "version": 1, "pattern": "gpt2", "special_tokens": {"<end>": 900},
    "merges": [[A, B], [300, C]], "merged_ids": [300, 301], "extra_tokens": {"eHl6": 400},
    "whole_words": True,
}


@pytest.fixture
def opened(tmp_path):
    def open_it(values):
        (tmp_path / "t").write_text(json.dumps(values), encoding="utf-8")
        return load(tmp_path / "t")

    return open_it


def test_everything_in_a_file_is_read(opened):
    tokenizer = opened(OURS)
    assert tokenizer.encode("abc xyz<end>", "all")[0] == 301
    assert tokenizer.encode("xyz") == [400] and tokenizer.special_tokens == {"<end>": 900}
    assert tokenizer.whole_words and json.loads(tokenizer.to_json()) == OURS
    assert opened({**OURS, "whole_words": False}).encode("xyz") != [400]
    bytes_first = opened({**OURS, "byte_ids": list(range(256)), "merges": [], "merged_ids": []})
    assert bytes_first.encode("az") == [97, 122]


def test_what_every_own_tokenizer_has_is_not_written():
    data = json.loads(BPETokenizer([(A, B)]).to_json())
    assert set(data) == {"format", "version", "pattern", "special_tokens", "merges"}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", "foreign", "no tokenizer file known"), ("format", None, "no tokenizer file"),
        ("version", 2, "version 2 of this format is not the 1 known"),
        ("pattern", None, "'pattern' is missing"), ("pattern", 3, "'pattern' is missing"),
        ("special_tokens", None, "'special_tokens'"), ("special_tokens", [], "'special_tokens'"),
        ("special_tokens", {"a": "b"}, "'special_tokens'"),
        ("special_tokens", {"a": True}, "'special_tokens'"),
        ("special_tokens", {"a": -1}, "'special_tokens'"),
        ("special_tokens", {"a": 2**31}, "'special_tokens'"),
        ("merges", None, "'merges'"), ("merges", {}, "'merges'"), ("merges", [[A]], "'merges'"),
        ("merges", [[A, B, C]], "'merges'"), ("merges", [[A, "b"]], "'merges'"),
        ("merges", [[A, B], 3], "'merges'"),
        ("byte_ids", None, "'byte_ids'"), ("byte_ids", [1.5] * 256, "'byte_ids'"),
        ("byte_ids", list(range(255)), "'byte_ids'"), ("byte_ids", list(range(257)), "'byte_ids'"),
        ("merged_ids", 3, "'merged_ids'"), ("merged_ids", [300], "'merged_ids'"),
        ("merged_ids", [300, "x"], "'merged_ids'"),
        ("extra_tokens", [], "'extra_tokens' must"), ("extra_tokens", {"eHl6": "x"}, "must map"),
        ("extra_tokens", {"e": 400}, "not base64"), ("extra_tokens", {"é": 400}, "not base64"),
        ("extra_tokens", {"eH-l6": 400}, "not base64"),
    ],
)
def test_a_file_with_another_value_is_refused_by_its_key(opened, key, value, message):
    with pytest.raises(TokenizerError, match=message):
        opened({**OURS, key: value})


def test_ids_of_half_the_range_are_ids(opened):
    assert opened({**OURS, "special_tokens": {"a": 0x3FFFFF}}).vocab_size == 0x400000
    assert opened({**OURS, "merges": [], "merged_ids": None}).merges == []


@pytest.mark.parametrize("given", [{"pattern": "gpt2"}, {"special_tokens": {"<x>": 999}}])
def test_a_file_that_states_its_pattern_takes_none(tmp_path, given):
    BPETokenizer([(A, B)]).save(tmp_path / "t")
    with pytest.raises(TokenizerError, match=r"t: it states its own pattern and special tokens"):
        load(tmp_path / "t", **given)


def test_a_rank_file_is_cl100k_unless_it_is_said(tmp_path):
    export(BPETokenizer([(A, B)], "gpt2"), tmp_path / "t", "tiktoken")
    assert load(tmp_path / "t").pattern == "cl100k"
    assert load(tmp_path / "t", pattern="o200k").pattern == "o200k"


def test_an_unknown_format_is_named_with_those_there_are(tmp_path):
    with pytest.raises(TokenizerError, match="no format 'word'.*tinygpt, huggingface, tiktoken"):
        export(BPETokenizer([]), tmp_path / "t", "word")
    assert not (tmp_path / "t").exists()


# --- files --------------------------------------------------------------------------------------


def test_a_file_is_written_into_folders_that_are_not_there_yet(tmp_path):
    write_text(tmp_path / "a/b/t", "é\n")
    assert read_bytes(tmp_path / "a/b/t") == "é\n".encode()
    write_text(tmp_path / "a/b/t", "x")
    assert read_bytes(str(tmp_path / "a/b/t")) == b"x"
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["t"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TokenizerError, match="cannot write .*file/t"):
        write_text(tmp_path / "file/t", "x")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[" * 200_000, "nested too deeply"), (b"\xff", "not JSON"), (b"3", "not an object"),
        (b'"a"', "not an object"), ("{", "not JSON"),
    ],
)
def test_what_is_no_json_object_is_refused(data, message):
    with pytest.raises(TokenizerError, match=message):
        parse_json(data)


# --- Hugging Face -------------------------------------------------------------------------------


def theirs(**changes):
    """A tokenizer.json with the merges ab and abc, the token xyz that none makes, and <end>."""
    data = json.loads(
        huggingface.write(BPETokenizer(
            [(A, B), (300, C)], special_tokens={"<end>": 900, "<pad>": 899},
            merged_ids=[300, 301], extra_tokens={b"xyz": 400}, whole_words=True,
        ))
    )
    for key, value in changes.items():
        place, _, last = key.rpartition("__")
        inside = data
        for step in filter(None, place.split("__")):
            inside = inside[int(step) if isinstance(inside, list) else step]
        inside[int(last) if isinstance(inside, list) else last] = value
    return data


def test_a_file_there_says_everything(opened):
    data = theirs()
    assert [token["id"] for token in data["added_tokens"]] == [899, 900]
    assert all(token["special"] for token in data["added_tokens"])
    assert data["model"]["merges"] == [["a", "b"], ["ab", "c"]] and data["model"]["ignore_merges"]
    ids = list(data["model"]["vocab"].values())
    assert ids == sorted(ids) and data["model"]["vocab"]["xyz"] == 400
    again = opened(data)
    assert again.merged_ids == [300, 301] and again.extra_tokens == {b"xyz": 400}
    assert again.encode("xyz") == [400] and again.whole_words
    assert not opened(theirs(model__ignore_merges=False)).whole_words


@pytest.mark.parametrize(
    "changes",
    [
        {"normalizer": {"type": "Sequence", "normalizers": []}}, {"added_tokens": []},
        {"added_tokens": None}, {"model__merges": ["a b", "ab c"]}, {"post_processor": {"x": 1}},
    ],
)
def test_what_changes_no_ids_is_read(opened, changes):
    assert opened(theirs(**changes)).encode("abc") == [301]


def test_a_special_token_may_stand_in_the_vocabulary_too(opened):
    data = theirs()
    data["model"]["vocab"]["<end>"] = 900
    assert opened(data).special_tokens["<end>"] == 900
    data["model"]["vocab"]["<énd ›"] = 901
    with pytest.raises(TokenizerError, match="not spelled in the byte-level alphabet"):
        opened(data)


SPLIT = "pre_tokenizer__pretokenizers__0__"
LEVEL = "pre_tokenizer__pretokenizers__1__"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model__type": "Unigram"}, "ignore_merges, which is not known of pieces"),
        ({"normalizer": {"type": "Lowercase"}}, "normalizes"),
        ({"model__byte_fallback": True}, "ignore_merges, which is not known of pieces"),
        ({"model__continuing_subword_prefix": "##"}, "continuing_subword_prefix"),
        ({"model__end_of_word_suffix": "</w>"}, "end_of_word_suffix"),
        ({"pre_tokenizer": None}, "not a plain byte-level one"),
        ({"pre_tokenizer__pretokenizers": []}, "not a plain byte-level one"),
        ({"pre_tokenizer__pretokenizers__1": 3}, "not a plain byte-level one"),
        ({LEVEL + "add_prefix_space": True}, "not a plain byte-level one"),
        ({LEVEL + "use_regex": True}, r"\(Split, ByteLevel\) does more than cut"),
        ({SPLIT + "type": "Digits"}, r"\(Digits, ByteLevel\) does more"),
        ({SPLIT + "behavior": "Removed"}, "does more"), ({SPLIT + "invert": True}, "does more"),
        ({SPLIT + "pattern": {"String": " "}}, "does more"), ({SPLIT + "pattern": 3}, "does more"),
        ({"added_tokens": 3}, "'added_tokens' is damaged"),
        ({"added_tokens__0__id": True}, "'added"),
        ({"added_tokens__0__id": -1}, "'added"), ({"added_tokens__0__id": 1 << 31}, "'added"),
        ({"added_tokens__0__content": 3}, "'added"), ({"added_tokens__1": "x"}, "'added"),
        ({"model__vocab": []}, "'vocab' is missing"),
        ({"model__vocab__a": True}, "the token 'a' has no valid id: True"),
        ({"model__vocab__a": -1}, "the token 'a' has no valid id"),
        ({"model__vocab__a": 1 << 31}, "the token 'a' has no valid id"),
        ({"model__merges": 3}, "merge 0 .* is not a pair"),
        ({"model__merges__1": ["a"]}, "merge 1 .* is not a pair"),
        ({"model__merges__1": "a b c"}, "merge 1 .* is not a pair"),
        ({"model__merges__1": ["a", "c"]}, "merge 1 .* names a token that is not in"),
        ({"model__merges__1": ["a", 3]}, "merge 1 .* names a token"),
        ({"model__merges__1": ["a", "›"]}, "merge 1 .* names a token"),
    ],
)
def test_a_file_from_there_that_does_not_fit_is_refused(opened, changes, message):
    with pytest.raises(TokenizerError, match=message):
        opened(theirs(**changes))


def test_a_merge_whose_parts_nothing_makes_is_left_out(opened):
    data = theirs()
    data["model"]["vocab"] |= {"zzz": 500, "zzzz": 501}
    data["model"]["merges"].insert(0, ["zzz", "z"])
    again = opened(data)
    assert again.merges == [(A, B), (300, C)] and again.extra_tokens[b"zzzz"] == 501


def test_every_way_to_write_a_token_is_one_merge(opened):
    data = theirs()
    data["model"]["vocab"] |= {"bc": 302}
    data["model"]["merges"] = [["a", "bc"], ["a", "b"], ["ab", "c"], ["b", "c"], ["a", "bc"]]
    again = opened(data)
    # "a" with "bc" stands before bc is made; of "abc" the others leave just "abc", so it never is.
    assert again.encode("abc") == [301] and again.encode("bc") == [302]
    data["model"]["merges"] = [["a", "bc"], ["b", "c"], ["a", "b"]]
    with pytest.raises(TokenizerError, match=f"merge of the tokens {A} and 302 stands before"):
        opened(data)


def test_a_character_file_is_no_bpe(opened):
    assert isinstance(opened(json.loads(CharTokenizer("ab").to_json())), CharTokenizer)
