"""Characters: what is known, and the words about what is not."""

from __future__ import annotations

import numpy as np
import pytest

from tinygpt.tokenizer import CharTokenizer, TokenizerError, load

ABC = CharTokenizer("cab'\"-\n")


def refusal(text):
    with pytest.raises(TokenizerError) as caught:
        ABC.encode(text)
    return str(caught.value)


def test_ids_are_the_places_of_the_characters():
    assert ABC.encode("abc") == [1, 2, 0] and ABC.decode([1, 2, 0]) == "abc"
    assert ABC.encode("") == [] and ABC.decode([]) == ""
    assert ABC.encode(b"abc") == [1, 2, 0] and ABC.decode_bytes(np.array([1, 2])) == b"ab"
    assert (ABC.vocab_size, ABC.characters, ABC.special_tokens) == (7, "cab'\"-\n", {})
    assert ABC.encode_array("ab").dtype == np.uint16


@pytest.mark.parametrize("parts", ["banana", ["ban", "ana"], iter(["n", "ba"])])
def test_training_sees_one_text_or_several(parts):
    assert CharTokenizer.train(parts).characters == "abn"


def test_half_a_character_is_a_character_like_another():
    tokenizer = CharTokenizer("a\ud800")
    assert tokenizer.encode("\ud800a") == [1, 0] and tokenizer.decode([1, 0]) == "\ud800a"
    assert tokenizer.decode_bytes([1]) == b"\xed\xa0\x80"


def test_characters_beyond_all_known_ones_and_between_them_are_unknown():
    for text, character in (("aaz", "z"), ("aa&", "&"), ("aa\U0010ffff", "\U0010ffff")):
        assert f"the character {character!r} at position 2 is not among the 7" in refusal(text)


def test_an_unknown_character_is_replaced_by_the_nearest_known_one():
    assert refusal("caf") == (
        "the character 'f' at position 2 is not among the 7 that this tokenizer was trained on. "
        "Leave out 'f'. Or train on text that has what is missing."
    )
    assert "trained on. Write 'a' for 'á'. Or" in refusal("cáb")


def test_six_unknown_characters_are_named_and_the_others_counted():
    said = refusal("abc\u201eA\u2014xyzuvw")
    assert said.startswith(
        "the characters '„', 'A', '—', 'x', 'y', 'z' and 3 more, from position 3 on, are not"
    )
    assert "Write '\"' for '„', 'a' for 'A', '-' for '—'. Leave out 'x', 'y', 'z'. Or" in said
    assert " more" not in refusal("uvwxyz") and " and 1 more, " in refusal("tuvwxyz")
    assert refusal("xyxy").startswith("the characters 'x', 'y', from position 0 on, are")


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([0, 1, 7], r"the id 7 at position 2 is outside this tokenizer's 0\.\.6\."),
        ([-1], "the id -1 at position 0"), (np.array([0, 9, -1]), "the id 9 at position 1"),
    ],
)
def test_an_id_of_another_tokenizer_is_named(ids, message):
    with pytest.raises(TokenizerError, match=message):
        ABC.decode(ids)
    assert ABC.decode([6]) == "\n" and ABC.decode([0]) == "c"


def test_bytes_that_are_no_text_are_named_with_their_place():
    with pytest.raises(TokenizerError, match="byte 0xff at position 2 is not UTF-8"):
        ABC.encode(b"ab\xff")


@pytest.mark.parametrize("characters", ["null", "3", '""', '"aa"'])
def test_a_file_without_characters_is_refused(tmp_path, characters):
    (tmp_path / "t").write_text(
        f'{{"format": "tinygpt-char", "version": 1, "characters": {characters}}}'
    )
    with pytest.raises(TokenizerError, match="no text under|is empty|must differ"):
        load(tmp_path / "t")
