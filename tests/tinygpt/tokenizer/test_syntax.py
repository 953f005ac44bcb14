"""Which expressions are read, what each part of them means, and why the others are not.

Meanings are judged by the `regex` module, on texts in which every part matters.
"""

from __future__ import annotations

import pytest

from tests.tinygpt.tokenizer.test_automaton import check
from tinygpt.tokenizer.automaton import compile_pattern
from tinygpt.tokenizer.syntax import (
    NOTHING,
    Chars,
    Choice,
    Look,
    Sequence,
    Star,
    Unsupported,
    can_be_empty,
    parse,
)

A, B, C = (Chars((range(ord(c), ord(c) + 1),)) for c in "abc")


def test_a_pattern_becomes_a_tree():
    assert parse("a") == A and parse("(a)") == parse("(?:a)") == A
    assert parse("ab|c") == Choice((Sequence((A, B)), C))
    assert parse("a(?!b)") == Sequence((A, Look(((Chars((B,), True), True),))))
    assert parse("a(?=b)") == Sequence((A, Look(((B, False),))))
    assert parse(r"a\Z") == Sequence((A, Look(((Chars(()), True),))))
    assert parse("[a-cx]") == Chars((Chars((range(97, 100),)), Chars((range(120, 121),))))
    assert parse("[^b]") == Chars((B,), negated=True)


def test_repeats_are_written_out():
    def often(node, least, *rest):
        return Sequence((node,) * least + rest)

    assert parse("a{2}") == often(A, 2, NOTHING) == parse("a{2,2}")
    assert parse("a+") == often(A, 1, Sequence((Star(A, False), NOTHING))) == parse("a{1,}")
    assert parse("a+?") == often(A, 1, Sequence((Star(A, True), NOTHING)))
    once = Sequence((A, NOTHING))
    assert parse("a?b") == Sequence((often(A, 0, Choice((once, NOTHING))), B)) == parse("a{0,1}b")
    assert parse("a??b") == Sequence((often(A, 0, Choice((NOTHING, once))), B))
    stop = Look(((Chars((A,), True), True),))
    assert parse("a++") == often(A, 1, Sequence((Star(A, False), stop)))
    assert parse("a{1,2}+") == often(A, 1, Choice((Sequence((A, NOTHING)), stop)))


def test_what_can_be_empty():
    star = Star(A, False)
    look = Look(((A, False),))
    assert can_be_empty(star) and can_be_empty(look) and can_be_empty(NOTHING)
    assert can_be_empty(Sequence((star, look))) and not can_be_empty(Sequence((star, A)))
    assert can_be_empty(Choice((A, star))) and not can_be_empty(Choice((A, B)))


# Each with a text that its neighbours in the grammar would cut otherwise.
READ = [
    (r"\x41\x42|.", "xABAxB"), (r"\u3000|a", "a\u3000\u3000a"), (r"\U0001F600+|a", "a\U0001f600a"),
    (r"\n+|\t|\r|\f|\v|\a|\0|[a-z]+", "ab\n\nn\t\tt\r\rr\f\fv\v\v0\0\0a\a\a"),
    (r"\p{Lu}|\P{Lu}+", "abAB1"), (r"\p{^Lu}+|.", "abAB1"), (r"\P{^Lu}|[a-z]+", "abABc"),
    (r"\pL+|\PL", "ab12"), (r"\p{L}+|\d\d", "ab123"), (r"\w+|\W+", "a_1²-- ⓐ\u200dx"),
    (r"\s+|\S+", "a \u3000\x85b"), (r"\D+|\d+", "12ab3"),
    (r".+|\n", "ab\n\ncd"), (r"[^\n]+\n|\n", "ab\n\n"), (r"\-\]\.|\-+", "-].--"),
    (r"[a\-c]+|b", "a-cb"), (r"[a-]+|b", "a-b-a"), (r"[-a]+|b", "a-ba"), (r"[+--]|a", "a+,-."),
    (r"[\]a]+|b", "a]b]"), (r"[\s\d]+|a", "1 a2"), (r"[\x41-C]+|b", "ABCDb"),
    (r"(?i:sk)+|.", "sKSk\u017f\u212asx"), (r"(?i:[sx]b)|a", "SBxbsB"),
    (r"(?i:a1)b|a", "A1ba1b"), (r"(?i:a)b|A", "AbABaB"),
    (r"\s++$|\s|a", "a \na \n"), (r"a\Z|ab|a", "aba"), (r"a(?![\s\S])|a", "aaa"),
    (r"a(?=b)|a|b", "aab"), (r"a(?=[^b])|ab", "aaab"), (r"a(?!b)|ab", "aaba"),
    (r"a{2}|b", "aaabb"), (r"a{2,3}|b", "aaaaab"), (r"a{2,}|b", "abaaab"), (r"a{1,3}?b|a", "aaab"),
    (r"a{0,2}b|a", "aaab"), (r"(?:ab){2}|a|b", "ababab"), (r"a*?b|a", "aabaa"), (r"a??b|a", "aab"),
    (r"a?+a|b", "aab"), (r"a*+b|a", "aabaa"), (r"a{1,2}+b|a", "aaab"), (r"(a|ab)(c|bcd)|.", "abcd"),
    (r"(?:a|b)+c|.", "abacab"), (r"(?:a|)b|a", "abba"),
]


@pytest.mark.parametrize(("pattern", "text"), READ)
def test_what_is_read_means_what_it_means_to_regex(pattern, text):
    for start in range(len(text)):
        check(pattern, text[start:])


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("a)", r"holds '\)' where nothing"), ("*a", r"holds '\*' where"), ("a**", r"holds '\*'"),
        ("a{x}", r"holds '\{'"), ("a}", r"holds '\}'"), ("a|+", r"holds '\+'"),
        ("", "match nothing at all"), ("a?", "match nothing at all"), ("a|b*", "match nothing at"),
        ("(?=a)", "match nothing at all"), ("(a", "a bracket is open"), ("(?:a", "a bracket is"),
        (r"(?P<x>a)", r"the group \(\?P<\.\.\."), (r"(?>a)", r"the group \(\?>a\.\.\."),
        (r"(?s:.)", "the group"), ("(?#x)a", "the group"), ("a(?!b|cd)", "ahead for more"),
        ("a(?=)", "ahead for more"), ("(?i:i)", "'i', which is not settled"),
        ("(?i:I)", "'I', which is not"), ("(?i:é)", "not settled"),
        (r"(?i:\p{L})", r"the property \\p\{L\}"), (r"\p{Script=Greek}", r"holds \\p"),
        (r"\p{IsGreek}", "the property"), (r"(?i:\w)", r"holds \\w"), (r"(?i:\W)", r"holds \\W"),
        (r"(?i:[^a])", "case of a set that excludes"), (r"\U00110000", r"holds \\U00110000"),
        (r"\01", r"holds \\0"), (r"\b", r"holds \\b"), (r"\8", r"holds \\8"), ("a\\", r"holds \\$"),
        ("\\é", r"holds \\é"), ("[--b]", "computes with sets"), ("[a||b]", "computes with"),
        ("[a&&b]", "computes with sets"), ("[a~~b]", "computes with sets"), ("[]", "empty set"),
        ("[a", "a set in a set"), ("[a[b]]", "a set in a set"), ("[^]", "empty set"),
        (r"[a-\s]", "not one character"), (r"[\d-a]", "not one character"),
        (r"[\p{L}-a]", "not one character"), ("(?i:[a-c])", "not one character"),
        ("[b-a]", "ends before it starts"), ("a{3,2}", r"a?\{3,2\} in it ends before"),
        ("(?:a?){2}b", "repeats what can match nothing"), ("(?:a*)*b", "repeats what can"),
        ("(?:ab)?+c", "gives nothing back"), ("(?:a|b)*+c", "gives nothing back"),
        ("a{51}", "written out are too long"), ("a{51,}", "written out are too long"),
        ("a{0,51}b", "written out are too long"), ("(?:abcde){50}" * 5, "written out are too long"),
        ("(?:abcde){0,50}" * 5 + "x", "written out are too long"),
        ("(" * 51 + "a" + ")" * 51, "nested too deeply"), ("a" * 1001, "are too long"),
    ],
)
def test_what_is_not_read_says_why(pattern, reason):
    with pytest.raises(Unsupported, match=reason):
        parse(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "a{50}", "a{50,}", "a{0,50}b", "(" * 50 + "a" + ")" * 50, "a" * 1000, "(?:a?)?b",
        "(?:a{2}){1}", "[b-b]", "(?i:[s])", r"\0a", r"(?i:\s)", "a{2}?",
    ],
)
def test_the_last_that_is_read(pattern):
    parse(pattern)


def test_more_kinds_of_characters_than_a_table_has_columns_are_said():
    every = "|".join(chr(0x4E00 + n) for n in range(255))
    with pytest.raises(Unsupported, match="tells more than 255 kinds of characters apart"):
        compile_pattern(every)
    fewer = "|".join(chr(0x4E00 + n) for n in range(60))
    assert compile_pattern(fewer).table.shape[1] == 60 + 1 + 1
