"""Patterns as tables: what is compiled cuts as `regex` cuts, and what is not says why."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygpt.tokenizer import TokenizerError, automaton, compiled, pretokenize, train_bpe
from tinygpt.tokenizer.automaton import compile_pattern, ends
from tinygpt.tokenizer.pretokenize import how_cut, piece_ends, split
from tinygpt.tokenizer.syntax import Unsupported

needs_c = pytest.mark.skipif(not compiled.available(), reason="needs the C extension")

TEXTS = st.text(alphabet="aAbBsS'ſlt1²ǅʰ中é\u0301  \t\n\r\u3000.,/-_€\U0001f600", max_size=30)

PUBLIC = {
    "tiktoken's gpt2": (
        r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
    ),
    "tiktoken's cl100k": (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
        r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
    ),
    "Qwen 2": (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    "DeepSeek V3": (
        r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
        r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    "DeepSeek's Chinese": r"[一-龥\u3040-ゟ゠-ヿ]+",
    "StarCoder's digits": r"\p{N}",
    "words": r"\w+|\W",
    "lines": r"[^\n]*\n|[^\n]+",
}


def check(pattern: str, text: str) -> None:
    """The table, in Python and in C, against `regex`."""
    data = text.encode("utf-8", "surrogateescape")
    table = compile_pattern(pretokenize.PATTERNS.get(pattern, pattern))
    expected = piece_ends(data, pattern)
    assert ends(table, data) == expected
    if compiled.available():
        assert compiled.Scanner(table).ends(data).tolist() == expected


def test_docstring_examples():
    assert doctest.testmod(automaton).failed == 0


@pytest.mark.parametrize("name", PUBLIC)
def test_public_patterns_have_a_table_and_cut_as_regex_does(name):
    @settings(max_examples=25, deadline=None)
    @given(TEXTS)
    def check_text(text):
        check(PUBLIC[name], text)

    check_text()


# Expressions of the subset, drawn from its grammar.
CHARACTERS = st.sampled_from(
    [*"abs'1 .", r"\n", r"\s", r"\S", r"\d", r"\w", r"\W", r"\p{L}", r"\p{Lu}", r"\P{N}", r"\pM",
     r"[^\s\p{L}]", r"[a-c1]", r"[\p{Ll}'-]", r"[^\S\n]", r"\x20", r"\u3000"]
)
REPEATS = st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{2,}", "*?", "+?", "??", "{1,3}?"])
LOOKS = st.sampled_from([r"(?!\S)", r"(?=\s)", "(?!a)", "(?=[ab])", r"(?![\s\S])", "$", r"\Z", ""])
ATOMS = st.one_of(
    CHARACTERS,
    st.builds("{}{}".format, CHARACTERS, REPEATS),
    st.builds("{}{}".format, CHARACTERS, st.sampled_from(["*+", "++", "?+", "{1,2}+"])),
    st.sampled_from(["(?i:'s|ll)", "(?i:[sdk])", "(?i:a)"]),
)
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds("{}{}{}".format, inner, inner, LOOKS),
        st.builds("(?:{}|{})".format, inner, inner),
        st.builds("(?:{}){}".format, inner, REPEATS),
        st.builds("({}){}".format, inner, st.sampled_from(["?", "", "{2}"])),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(PATTERNS, st.lists(TEXTS | st.text("ab s\n", max_size=12), min_size=3, max_size=6))
def test_patterns_of_the_subset_cut_as_regex_does(pattern, texts):
    try:
        compile_pattern(pattern)
    except Unsupported:
        return
    for text in texts:
        check(pattern, text)


@pytest.mark.slow
def test_five_thousand_patterns_cut_as_regex_does():
    check_one = test_patterns_of_the_subset_cut_as_regex_does.hypothesis.inner_test
    texts = st.lists(TEXTS, min_size=3, max_size=6)
    settings(max_examples=5_000, deadline=None)(given(PATTERNS, texts)(check_one))()


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"(?<=a)b|c", "it holds the group"),
        (r"(a)\1", r"holds \\1"),
        (r"a*", "match nothing"),
        (r"(?:a?)+b", "repeats what can match nothing"),
        (r"a(?!bc)", "more than one character"),
        (r"(?:ab)++", "gives nothing back"),
        (r"\p{Greek}+", "the property"),
        (r"a$", "further ahead"),
        (r"(?i:é)", "not settled"),
        (r"^a", r"'\^'"),
        (r"[[a-z]]", "a set in a set"),
        (r"(?:a|b){1,4000}cd", "too long"),
        (r"(?:(?:(?:a{9}){9}){9}){9}", "too long"),
        (r"[ab]*a[ab]{15}", "too large"),
        (r"(?:(?:a{0,50}b){0,9}c){0,9}d", "too long"),
    ],
)
def test_what_has_no_table_says_why_and_is_cut_by_regex(pattern, reason):
    with pytest.raises(Unsupported, match=reason):
        compile_pattern(pattern)
    assert how_cut(pattern).startswith("the regex module")
    assert b"".join(split("aabbab c\n", pattern)) == b"aabbab c\n"


def test_what_has_a_table_says_so():
    assert how_cut("o200k") == how_cut(r"\S+|\s") == "a table made from the pattern (Unicode 16.0)"


@needs_c
def test_a_table_that_reads_in_vain_without_end_is_stopped():
    """`regex` would take hours; the pattern is in the subset."""
    tokenizer = train_bpe("ab", 262, pattern=r"a*b|a", min_count=1)
    with pytest.raises(TokenizerError, match="reads far ahead in vain"):
        tokenizer.encode_array(b"a" * 10**6)


@pytest.mark.parametrize("pattern", [r"(?:(?:a|aa)+)+(?<=x)", r"(?:(?:a|ab?)+)+(?<=x)"])
def test_a_pattern_that_backtracks_without_end_is_stopped(pattern, monkeypatch):
    monkeypatch.setattr(pretokenize, "TIME_FOR_A_MATCH", 0.1)
    with pytest.raises(TokenizerError, match="backtracks without end at position"):
        split("a" * 200, pattern)


def test_a_slow_text_is_not_taken_for_an_endless_one(monkeypatch):
    monkeypatch.setattr(pretokenize, "TIME_FOR_A_MATCH", 0.002)
    text = "word " * 20_000
    assert len(split(text, r"(?<!x)\w+")) == 40_000


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (r"(?:a{60000}){60000}", "too large"),
        ("(?:(?:x{999}){999}){999}", "too large"),
        ("a|" * 200_000, "too large"),
        ("(?R)", "calls itself"),
        ("(a|(?1))*", "calls itself"),
        ("(" * 4000 + "a" + ")" * 4000, "not a regular expression"),
        ("(", "not a regular expression"),
    ],
)
def test_a_pattern_that_compiles_without_end_is_refused(pattern, message):
    with pytest.raises(TokenizerError, match=message):
        train_bpe("abc", 300, pattern=pattern)


# --- one version of Unicode -----------------------------------------------------------------------


def test_unicode_is_that_of_tiktoken_whatever_regex_knows():
    """U+0558 is a letter for `regex` of 2026, and U+0295 is no small one any more."""
    for pattern in pretokenize.PATTERNS:
        assert split("\u0558't", pattern)[0] == "\u0558'".encode()
        check(pattern, "\u0558't")
    assert split("aʕ中", r"\p{Ll}+|\p{Lo}") == ["aʕ".encode(), "中".encode()]
    check(r"\p{Ll}+|\p{Lo}+", "aʕa中ʕ\u0558")


def _every_code_point(patterns, step):
    """Is the apostrophe of `'t` cut off from what stands before it where tiktoken cuts it off?"""
    tiktoken = pytest.importorskip("tiktoken")
    ranks = {bytes([byte]): byte for byte in range(256)}
    # A token for any byte with an apostrophe behind it: made where no cut is between them.
    ranks |= {bytes([byte, 0x27]): 256 + byte for byte in range(256)}
    points = [p for p in range(0, 0x110000, step) if not 0xD800 <= p < 0xE000 and p != 0x27]
    for name in patterns:
        theirs = tiktoken.Encoding(
            "x", pat_str=pretokenize.PATTERNS[name], mergeable_ranks=ranks, special_tokens={}
        )
        for before in ("", "a", " ", "A"):
            for start in range(0, len(points), 20_000):
                text = "".join(f"{before}{chr(p)}'t\n!" for p in points[start : start + 20_000])
                data = text.encode()
                cuts = set(_ends(data, name))
                ours = [i for i, byte in enumerate(data) if byte == 0x27 and i not in cuts]
                at, together = 0, []
                for token in theirs.encode_ordinary(text):
                    together += [at + 1] * (token >= 256)
                    at += 1 + (token >= 256)
                assert ours == together


def _ends(data, name):
    scanner = compiled.Scanner.of(name) if compiled.available() else None
    return piece_ends(data, name) if scanner is None else scanner.ends(data).tolist()


def test_code_points_before_a_contraction_split_as_in_tiktoken():
    _every_code_point(["cl100k"], step=97)


@pytest.mark.slow
def test_every_code_point_before_a_contraction_splits_as_in_tiktoken():
    _every_code_point(sorted(pretokenize.PATTERNS), step=1)
