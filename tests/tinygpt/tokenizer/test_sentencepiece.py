"""SentencePiece's two kinds on a vocabulary of a dozen pieces whose ids can be told by hand."""

import json
import pickle

import pytest

from tests.tinygpt.tokenizer.models import BYTES, PIECES, ROWS, SPECIAL, charsmap, columns
from tinygpt.tokenizer import SentencePieceTokenizer, TokenizerError, from_json
from tinygpt.tokenizer.normalizer import Normalizer
from tinygpt.tokenizer.parallel import encode_stream
from tinygpt.tokenizer.sentencepiece import BYTE, NORMAL, UNUSED


def make(kind="unigram", rows=ROWS, **settings):
    return SentencePieceTokenizer(*columns(rows), kind, **settings)


def pieces(tokenizer, text):
    return [tokenizer.pieces[i] for i in tokenizer.encode(text, disallowed_special=())]


@pytest.fixture(params=["c", "python"])
def way(request, monkeypatch):
    """Both implementations, where there are two."""
    monkeypatch.setenv("TINYGPT_TOKENIZER", "auto" if request.param == "c" else "python")


def test_unigram_takes_the_most_likely_pieces(way):
    made = make()
    best = {
        text: sum(made.scores[made.pieces.index(p)] for p in text)
        for text in [("▁", "abc"), ("▁a", "b", "c"), ("▁", "ab", "c")]
    }
    assert tuple(pieces(made, "abc")) == max(best, key=best.get) == ("▁", "abc")


def test_bpe_merges_the_best_first_and_of_equals_the_leftmost():
    made = make("bpe")
    assert pieces(made, "abc") == ["▁a", "b", "c"]  # ▁a scores -2.8, and nothing joins b with c
    assert pieces(made, "caaab") == ["▁", "c", "aa", "ab"]
    equal = SPECIAL + [("a", 0.0, 1), ("▁", 0.0, 1), ("aa", -1.0, 1), ("aaa", -1.0, 1)]
    assert pieces(make("bpe", equal), "aaaa") == ["▁", "aaa", "a"]


def test_neighbouring_unknown_characters_are_one(way):
    for kind in ("unigram", "bpe"):
        assert pieces(make(kind), "axyb z") == ["▁a", "<unk>", "b", "▁", "<unk>"]
        assert pieces(make(kind, fuse_unknown=False), "axyb").count("<unk>") == 2


def test_unknown_characters_fall_back_on_bytes(way):
    for kind in ("unigram", "bpe"):
        made = make(kind, ROWS + BYTES, byte_fallback=True)
        assert pieces(made, "aé") == ["▁a", "<0xC3>", "<0xA9>"]
        assert made.decode(made.encode("aé 漢\n b")) == "aé 漢\n b"


def test_user_defined_pieces_are_taken_whole(way):
    for kind in ("unigram", "bpe"):
        assert pieces(make(kind), "a<sep>b<sep><sep>") == ["▁a", "<sep>", "b", "<sep>", "<sep>"]


def test_control_pieces_are_special_tokens():
    made = make()
    assert made.special_tokens == {"<s>": 1, "</s>": 2}
    with pytest.raises(TokenizerError, match="special token '<s>'"):
        made.encode("a<s>")
    assert made.encode("<s>", allowed_special="all") == [1]
    assert "<s>" not in pieces(made, "a<s>")


def test_unused_pieces_are_merged_and_taken_apart_again():
    rows = [(p, s, UNUSED if p in ("ab", "aab") else t)
            for p, s, t in [*ROWS, ("aab", -0.1, NORMAL), ("caab", -0.5, NORMAL)]]
    assert pieces(make("bpe", rows), "cab") == ["▁", "c", "a", "b"]
    assert pieces(make("bpe", rows), "caab") == ["▁", "caab"]
    assert "ab" not in pieces(make("unigram", rows), "cab")


def test_decode_takes_away_the_space_before_the_text_and_decode_bytes_does_not():
    made = make()
    ids = made.encode("ab a")
    assert made.decode(ids) == "ab a" and made.decode_bytes(ids) == b" ab a"
    assert b"".join(made.decode_bytes([i]) for i in ids) == b" ab a"
    assert made.decode_bytes([0]).decode() == " \u2047 "
    with pytest.raises(TokenizerError, match="id 99 at position 1"):
        made.decode([0, 99])


def test_pieces_that_go_on_behind_a_space_are_found(way):
    rows = [*ROWS, ("a▁b", -0.5, NORMAL), ("▁▁", -1.0, NORMAL), ("▁b", -0.7, NORMAL)]
    plain = Normalizer(remove_extra_whitespaces=False)
    for kind in ("unigram", "bpe"):
        assert pieces(make(kind, rows, normalizer=plain), "ca b  c")[2:4] == ["a▁b", "▁▁"]
        assert pieces(make(kind, rows, normalizer=plain, split=True), "ca b")[-1] == "▁b"


def test_a_long_text_is_quick_and_the_same_in_parts(way):
    text = "ab abc caab " * 6000  # 72,000 characters: two stretches
    for kind in ("unigram", "bpe"):
        made = make(kind)
        assert made.encode(text) == 6000 * made.encode("ab abc caab")
        assert len(made.encode("ab" * 20_000)) >= 20_000


def test_a_stream_is_one_text_with_one_prefix():
    import io

    made = make()
    found = [i for part in encode_stream(made, io.BytesIO(b"ab abc " * 9)) for i in part]
    assert found == made.encode("ab abc " * 9)


def test_saved_and_read_again_it_is_the_same():
    rules = Normalizer(charsmap({"x": "a"}), remove_extra_whitespaces=False)
    for kind in ("unigram", "bpe"):
        made = make(kind, ROWS + BYTES, byte_fallback=True, normalizer=rules)
        again = from_json(made.to_json())
        assert isinstance(again, SentencePieceTokenizer)
        assert again.to_json() == made.to_json()
        assert pieces(again, "xab  c") == pieces(made, "xab  c")
        assert pickle.loads(pickle.dumps(made)).to_json() == made.to_json()


@pytest.mark.parametrize(("rows", "settings", "message"), [
    ([*ROWS, ("a", -1.0, NORMAL)], {}, r"piece 12 \('a'\) is piece 4 again"),
    ([*ROWS, ("", -1.0, NORMAL)], {}, "no text of 1 to 2048"),
    ([*ROWS, ("x" * 3000, -1.0, NORMAL)], {}, "no text of 1 to 2048"),
    ([*ROWS, ("x", float("nan"), NORMAL)], {}, "score nan, which is no number"),
    ([*ROWS, ("x", 10**400, NORMAL)], {}, "which is no number"),
    ([*ROWS, ("x", -1.0, 7)], {}, "type 7"),
    ([*ROWS, ("x", -1.0, BYTE)], {}, "not spelled <0x00>"),
    ([*ROWS, ("x\ud800", -1.0, NORMAL)], {}, "half a character"),
    ([*ROWS, ("x", -1.0, 2)], {}, "more than one piece for what is unknown"),
    (ROWS, {"byte_fallback": True}, "256 of the 256 are no pieces"),
    (ROWS, {"merges": [(4, 5, 99)]}, "not three ids"),
    (ROWS, {"merges": [(4, 5, 6)]}, "not the two together"),
    (ROWS, {"normalizer": Normalizer(b"damaged")}, "normalization rules are damaged"),
])
def test_what_is_no_vocabulary_is_refused(rows, settings, message):
    with pytest.raises(TokenizerError, match=message):
        make("bpe", rows, **settings)


def test_lists_of_different_lengths_and_other_kinds_are_refused():
    p, s, t = columns(ROWS)
    with pytest.raises(TokenizerError, match="12 pieces, 11 scores and 12 types"):
        SentencePieceTokenizer(p, s[1:], t, "bpe")
    with pytest.raises(TokenizerError, match="0 pieces"):
        SentencePieceTokenizer([], [], [], "bpe")
    with pytest.raises(TokenizerError, match="kind is 'word'"):
        SentencePieceTokenizer(p, s, t, "word")


def test_without_a_piece_for_it_an_unknown_character_is_an_error():
    with pytest.raises(TokenizerError, match="the character 'x' is no piece"):
        make(rows=PIECES).encode("axb")


@pytest.mark.parametrize(("change", "message"), [
    ({"pieces": 3}, "'pieces' must list"),
    ({"pieces": []}, "0 pieces"),
    ({"normalizer": {}}, "'normalizer' is damaged"),
    ({"split": 1}, "must be true or false"),
    ({"kind": ["bpe"]}, "kind is"),
    ({"merges": 5}, "not three ids"),
])
def test_a_damaged_file_is_refused(change, message):
    data = json.loads(make("bpe").to_json())
    with pytest.raises(TokenizerError, match=message):
        from_json(json.dumps(data | change))
