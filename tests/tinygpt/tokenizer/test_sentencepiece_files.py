"""A .model, a GGUF's lists and a tokenizer.json say the same, or are refused in a sentence."""

import base64
import json

import pytest

from tests.tinygpt.tokenizer.models import (
    BYTES,
    PIECES,
    ROWS,
    SPECIAL,
    charsmap,
    columns,
    message,
    model,
)
from tinygpt.tokenizer import TokenizerError, from_json, load
from tinygpt.tokenizer.protobuf import as_bytes, as_float, as_int, fields
from tinygpt.tokenizer.sentencepiece_files import from_lists, read_model

RULES = charsmap({"x": "a"})


def pieces(tokenizer, text):
    return [tokenizer.pieces[i] for i in tokenizer.encode(text, disallowed_special=())]


def test_a_model_is_read_with_its_rules_and_switches(tmp_path):
    made = read_model(model(normalizer=[(2, RULES), (3, 0), (4, 0)]))
    assert (made.kind, made.pieces, made.types) == ("unigram", *columns(ROWS)[::2])
    assert pieces(made, "xb  c") == ["ab", "▁", "▁", "c"]
    path = tmp_path / "any.model"
    path.write_bytes(model(ROWS + BYTES, kind=2, trainer=[(35, 1)]))
    made = load(path)
    assert (made.kind, made.byte_fallback) == ("bpe", True)
    assert pieces(made, "a\n") == ["▁a", "<0x0A>"]


def test_fields_that_are_not_known_are_passed_over():
    extra = message((99, b"\0" * 300), (5, b"")) + b"\xb9\x06" + bytes(8)  # 103, eight bytes
    assert read_model(model() + extra).pieces == columns(ROWS)[0]


@pytest.mark.parametrize(("data", "text"), [
    (b"", "holds no pieces"),
    (model(kind=3), "of type 3"),
    (model([("x", 0.0, 9)]), "type 9"),
    (model([("a", 0.0, 1), ("a", 0.0, 1)]), "again"),
    (message((1, message((1, b"\xff")))), "piece 0 of this SentencePiece model is not UTF-8"),
    (message((1, message((1, b"a"), (2, 7)))), "no float of four bytes"),
    (message((1, message((1, 3)))), "a number where text belongs"),
    (message((1, message((1, b"a"), (3, b"x")))), "text where a number belongs"),
    (b"\x0a\xff\xff\xff\xff\x0fabc", "claims 4294967295 bytes"),
    (b"\x0a" + b"\xff" * 20, "has no end"),
    (b"\x0b", "wire type 3"),
    (b"\x02\x01a", "field 0"),
])
def test_a_damaged_model_is_refused(data, text):
    with pytest.raises(TokenizerError, match=text):
        read_model(data)


def test_a_model_cut_off_anywhere_is_refused_or_shorter():
    whole = model()
    for size in range(len(whole)):
        try:
            assert len(read_model(whole[:size]).pieces) <= len(ROWS)
        except TokenizerError as error:
            assert str(error).count("\n") == 0


def test_wire_format():
    assert list(fields(message((1, 300), (2, b"ab"), (3, 1.5)))) == [
        (1, 300), (2, b"ab"), (3, b"\0\0\xc0\x3f")]
    assert (as_int(3), as_bytes(b"x"), as_float(b"\0\0\xc0\x3f")) == (3, b"x", 1.5)


def test_the_lists_of_a_gguf():
    tokens, scores, types = columns(ROWS + BYTES)
    made = from_lists(tokens, scores, types)
    assert made.kind == "bpe" and made.byte_fallback
    assert pieces(made, " a\n") == ["▁", "▁a", "<0x0A>"]
    assert pieces(from_lists(tokens, scores, types, add_space_prefix=False), "ab") == ["ab"]
    t5 = from_lists(*columns(ROWS), model="t5", remove_extra_whitespaces=True, charsmap=RULES)
    assert t5.kind == "unigram" and pieces(t5, "  xb ") == ["▁a", "b"]


@pytest.mark.parametrize(("arguments", "text"), [
    ({"scores": None}, "no tokenizer.ggml.scores"),
    ({"types": None}, "no tokenizer.ggml.token_type"),
    ({"scores": [0.0]}, "12 pieces, 1 scores"),
    ({"model": "gpt2"}, "'gpt2', which is none of SentencePiece's"),
])
def test_lists_that_do_not_do_are_refused(arguments, text):
    tokens, scores, types = columns(ROWS)
    given = {"scores": scores, "types": types} | arguments
    with pytest.raises(TokenizerError, match=text):
        from_lists(tokens, given.pop("scores"), given.pop("types"), **given)


def added(*names, special=True, first=0):
    return [{"id": first + i, "content": n, "special": special} for i, n in enumerate(names)]


def llama(**change):
    """A tokenizer.json as converted from a BPE model: merges in place of scores."""
    tokens = [row[0] for row in SPECIAL + BYTES + PIECES[:-1]]
    by_score = sorted((row for row in PIECES[:-1] if len(row[0]) > 1), key=lambda row: -row[1])
    merges = [
        f"{text[:cut]} {text[cut:]}" for text, _, _ in by_score for cut in range(1, len(text))
        if text[:cut] in tokens and text[cut:] in tokens
    ]
    data = {
        "added_tokens": added("<unk>", "<s>", "</s>")
        + added("<sep>", special=False, first=len(tokens)),
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ]},
        "pre_tokenizer": None,
        "model": {
            "type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True,
            "vocab": {token: i for i, token in enumerate(tokens)}, "merges": merges,
        },
    }
    return data | change


def t5(**change):
    """A tokenizer.json as converted from a Unigram model."""
    data = {
        "added_tokens": added("<unk>", "<s>", "</s>"),
        "normalizer": {
            "type": "Precompiled", "precompiled_charsmap": base64.b64encode(RULES).decode(),
        },
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "WhitespaceSplit"},
            {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True},
        ]},
        "model": {"type": "Unigram", "unk_id": 0, "vocab": [[t, s] for t, s, _ in ROWS[:-1]]},
    }
    return data | change


def test_a_tokenizer_json_of_merges_gives_the_ids_of_the_model():
    made = from_json(json.dumps(llama()))
    original = read_model(model(ROWS + BYTES, kind=2, trainer=[(35, 1)], normalizer=[(4, 0)]))
    for text in ("abc", "caab  a", "a<sep>b", "é x\n", " aaa"):
        assert pieces(made, text) == pieces(original, text)
    assert made.special_tokens == {"<s>": 1, "</s>": 2}
    assert from_json(made.to_json()).encode("abc") == made.encode("abc")


def test_a_tokenizer_json_of_scores_gives_the_ids_of_the_model():
    made = from_json(json.dumps(t5()))
    original = read_model(model(ROWS[:-1], normalizer=[(2, RULES)]))
    for text in ("abc", "  cxab  a ", "aq"):
        assert pieces(made, text) == pieces(original, text)


@pytest.mark.parametrize(("data", "text"), [
    (llama(normalizer={"type": "NFKC"}), "none of SentencePiece's"),
    (llama(normalizer=None), "nothing in it writes spaces"),
    (llama(pre_tokenizer={"type": "Digits"}), "none of SentencePiece's"),
    (llama(model=llama()["model"] | {"merges": ["a q"]}), "no pair of pieces"),
    (llama(model=llama()["model"] | {"merges": None}), "'merges' is missing"),
    (llama(model=llama()["model"] | {"vocab": {"a": 1}}), "not 0, 1, 2"),
    (llama(model=llama()["model"] | {"vocab": 3}), "'vocab' is missing"),
    (llama(model=llama()["model"] | {"ignore_merges": True}), "uses ignore_merges"),
    (llama(added_tokens=added("<x>", first=900)), "the next that is free is 267"),
    (llama(added_tokens=[3]), "'added_tokens' is damaged"),
    (t5(model=t5()["model"] | {"vocab": [["a"]]}), r"no \[piece, score\]"),
    (t5(model=t5()["model"] | {"vocab": [["a", "b"]]}, added_tokens=None), "no number"),
    (t5(model=t5()["model"] | {"unk_id": 99}), "'unk_id' 99"),
    (t5(normalizer={"type": "Precompiled", "precompiled_charsmap": "?"}), "not base64"),
])
def test_a_tokenizer_json_of_another_kind_is_refused(data, text):
    with pytest.raises(TokenizerError, match=text):
        from_json(json.dumps(data))
