"""What becomes of a text before pieces are looked for, on rules made by hand."""

import re

import pytest

from tests.tinygpt.tokenizer.models import charsmap
from tinygpt.tokenizer import TokenizerError
from tinygpt.tokenizer.normalizer import Charsmap, Normalizer

RULES = charsmap({
    "\t": " ", "ﬁ": "fi", "e\u0301": "é", "e\u0301\u0301": "E", "\x01": "", "Ａ": "A",
})


def test_the_longest_rule_wins_and_the_rest_stays():
    rules = Charsmap(RULES)
    assert rules.apply("cafe\u0301 ﬁn Ａ 漢\x01e") == "café fin A 漢e"
    assert rules.apply("e\u0301\u0301e\u0301e") == "Eée"
    assert rules.apply("") == ""


def test_spaces_are_one_none_at_the_ends_and_written_as_a_character():
    assert Normalizer()("  the  cat ") == "▁the▁cat"
    assert Normalizer(RULES)("\tthe\t cat\t") == "▁the▁cat"
    assert Normalizer()("   ") == Normalizer()("") == ""


@pytest.mark.parametrize(("settings", "expected"), [
    ({"add_dummy_prefix": False}, "a▁b"),
    ({"remove_extra_whitespaces": False}, "▁▁a▁▁b▁"),
    ({"escape_whitespaces": False}, " a b"),
    ({"space_is_suffix": True}, "a▁b▁"),
    ({"remove_extra_whitespaces": False, "prefix_once": True}, "▁a▁▁b▁"),
])
def test_each_step_can_be_switched(settings, expected):
    assert Normalizer(**settings)(" a  b ") == expected


def test_what_is_kept_no_rule_touches():
    kept = re.compile("(ﬁ)")
    assert Normalizer(RULES)("ﬁﬁ Ａ", kept) == "▁ﬁﬁ▁A"


def test_bytes_that_are_no_text_become_the_sign_for_it():
    assert Normalizer()("a\udcff\udcfe") == "▁a\ufffd\ufffd"


@pytest.mark.parametrize("blob", [
    b"\1", b"\0\0\0\0abc", b"\xff\xff\xff\x7fabcd", b"\5\0\0\0" + bytes(8),
])
def test_damaged_rules_are_refused(blob):
    with pytest.raises(TokenizerError, match="normalization rules are damaged"):
        _ = Normalizer(blob).rules


def test_a_rule_that_points_outside_is_refused():
    size = 4 + int.from_bytes(RULES[:4], "little")
    with pytest.raises(TokenizerError, match="points outside"):
        Charsmap(RULES[:size] + b"a").apply("\t")


def test_no_blob_of_noise_reads_outside():
    import random

    for seed in range(100):
        chance = random.Random(seed)
        blob = (400).to_bytes(4, "little") + chance.randbytes(400) + b"x\0y\0"
        try:
            Charsmap(blob).apply("the cat \x00\t\xff漢")
        except TokenizerError as error:
            assert "points outside" in str(error)
