"""Tokenizers of pieces go out as what they are, and come back; what would change is refused."""

import json

import numpy as np
import pytest

from tests.tinygpt.tokenizer.models import BYTES, PIECES, SPECIAL, charsmap, columns
from tinygpt.tokenizer import SentencePieceTokenizer, TokenizerError, from_json
from tinygpt.tokenizer.normalizer import Normalizer
from tinygpt.tokenizer.sentencepiece import NORMAL, UNUSED, USER_DEFINED
from tinygpt.tokenizer.sentencepiece_files import from_lists
from tinygpt.tokenizer.sentencepiece_write import difference, to_huggingface, to_lists

AS_LLAMA = Normalizer(remove_extra_whitespaces=False)
WHOLE = SPECIAL + BYTES + PIECES
PARTS = (
    "a", "b", "c", "ab", "abc", "aa", "aaa", " ", "  ", "\n", "x", "é", "日本", "🙂", "<sep>",
    "<s>", "▁", "d", "\u00a0",
)


def made(rows=WHOLE, kind="bpe", normalizer=AS_LLAMA, **more):
    more = {"byte_fallback": kind == "bpe", **more}
    return SentencePieceTokenizer(*columns(rows), kind, normalizer, **more)


def with_pairs(rows=WHOLE, **more):
    """One whose file stated pairs, as Llama's tokenizer.json does."""
    ids = {piece: token for token, (piece, _, _) in enumerate(rows)}
    pairs = [("a", "a"), ("▁", "a"), ("a", "b"), ("ab", "c")]
    merges = [(ids[left], ids[right], ids[left + right]) for left, right in pairs]
    return made(rows, merges=merges, fuse_unknown=True, **more)


def texts(count=400):
    rng = np.random.default_rng(0)
    return ["".join(rng.choice(PARTS, rng.integers(0, 9))) for _ in range(count)]


def ids_of(tokenizer):
    return [tokenizer.encode(text, disallowed_special=()) for text in texts()]


def in_lists(tokenizer):
    lists = to_lists(tokenizer)
    return from_lists(
        lists["tokens"], lists["scores"], lists["token_type"],
        add_space_prefix=lists["add_space_prefix"],
    )


@pytest.mark.parametrize("prefix", [True, False])
def test_lists_of_a_gguf_come_back(prefix):
    before = made(normalizer=Normalizer(add_dummy_prefix=prefix, remove_extra_whitespaces=False))
    after = in_lists(before)
    assert after.to_json() == before.to_json()
    assert ids_of(after) == ids_of(before)


def test_a_user_defined_token_goes_out_and_what_llama_cpp_does_behind_it_is_said():
    tokenizer = made()
    lists = to_lists(tokenizer)
    assert lists["token_type"][tokenizer.pieces.index("<sep>")] == 4
    assert "puts a space behind '<sep>'" in difference(tokenizer)
    plain = Normalizer(add_dummy_prefix=False, remove_extra_whitespaces=False)
    assert difference(made(normalizer=plain)) == ""
    ordinary = [row for row in WHOLE if row[2] != USER_DEFINED]
    assert difference(made(ordinary)) == ""


@pytest.mark.parametrize(("tokenizer", "why"), [
    (made(kind="unigram"), "unigram"),
    (with_pairs(), "states pairs"),
    (made(byte_fallback=False), "no byte pieces"),
    (made(split=True), "changes a text"),
    (made(normalizer=Normalizer()), "changes a text"),
    (made(normalizer=Normalizer(charsmap({"x": "a"}), True, False)), "changes a text"),
    (made(normalizer=Normalizer(b"", True, False, prefix_once=True)), "changes a text"),
    (made([*WHOLE, ("bc", 0.0, UNUSED)]), "'bc' is never given out"),
])
def test_what_llama_cpp_would_cut_otherwise_is_refused(tokenizer, why):
    with pytest.raises(TokenizerError, match=why):
        to_lists(tokenizer)


RULES = charsmap({"x": "a", "\u00a0": " "})
PLAIN = [row for row in PIECES if row[2] == NORMAL]
ALL = SPECIAL + BYTES + PLAIN
ONCE = Normalizer(b"", True, False, prefix_once=True)
SENT = {
    "pairs": with_pairs(ALL),
    "pairs, no prefix": with_pairs(normalizer=Normalizer(b"", False, False)),
    "pairs, prefix once, split": with_pairs(ALL, normalizer=ONCE, split=True),
    "unigram": made(SPECIAL + PLAIN, "unigram"),
    "unigram, no prefix": made(SPECIAL + PIECES, "unigram", Normalizer(RULES, False, False)),
    "unigram, rules, spaces": made(SPECIAL + PLAIN, "unigram", Normalizer(RULES)),
    "unigram, bytes": made(ALL, "unigram", byte_fallback=True),
    "unigram, split": made(SPECIAL + PLAIN, "unigram", ONCE, split=True),
}


@pytest.mark.parametrize("name", SENT)
def test_a_tokenizer_json_comes_back(name):
    before = SENT[name]
    after = from_json(to_huggingface(before))
    assert ids_of(after) == ids_of(before)
    assert to_huggingface(after) == to_huggingface(before)


@pytest.mark.parametrize("name", SENT)
def test_its_ids_are_those_of_tokenizers(name):
    tokenizers = pytest.importorskip("tokenizers", reason="an oracle that is not installed")
    ours, theirs = SENT[name], tokenizers.Tokenizer.from_str(to_huggingface(SENT[name]))
    for text in texts():
        if "<s>" not in text:  # theirs takes what is typed for the token
            ids = ours.encode(text, disallowed_special=())
            assert theirs.encode(text).ids == ids, text
            if 0 not in ids:  # what is unknown is written as its name there
                assert theirs.decode(ids) == ours.decode(ids), text


def test_what_stands_before_a_text_there_is_written():
    step = json.loads(to_huggingface(SENT["pairs"], "<s>"))["post_processor"]
    assert step["special_tokens"]["<s>"]["ids"] == [1]


@pytest.mark.parametrize(("tokenizer", "why"), [
    (made(), "merges by scores"),
    (with_pairs(), "followed by a space"),
    (made([*WHOLE, ("zz", 0.0, UNUSED)], "unigram"), "never given out"),
    (made([*SPECIAL, ("a", 0.0, NORMAL)], "unigram",
          Normalizer(space_is_suffix=True)), "behind a text"),
])
def test_what_a_tokenizer_json_cannot_say_is_refused(tokenizer, why):
    with pytest.raises(TokenizerError, match=why):
        to_huggingface(tokenizer)
