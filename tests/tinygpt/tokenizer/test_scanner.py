"""The compiled scanners cut exactly where `regex` cuts."""

from __future__ import annotations

import sys
import sysconfig
import unicodedata
from pathlib import Path

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygpt.tokenizer import compiled
from tinygpt.tokenizer.pretokenize import PATTERNS, piece_ends, split

pytestmark = pytest.mark.skipif(not compiled.available(), reason="needs the C extension")

# Everything that the patterns treat differently, next to each other more often than chance would.
TRICKY = st.text(
    alphabet="aZé中'sSſtTrRvVeElLmMdD  \t\n\r\v\x1c\x85\xa0\u2003\u30001²Ⅷ٣.!-_€\U0001f600"
)
NAMES = sorted(PATTERNS)


@pytest.fixture(scope="module", params=NAMES)
def scanner(request):
    scanner = compiled.Scanner.of(request.param)
    scanner.pattern = request.param
    return scanner


def check(scanner, data: bytes) -> None:
    assert scanner.ends(data).tolist() == piece_ends(data, scanner.pattern)


@settings(max_examples=400, deadline=None)
@given(text=st.one_of(TRICKY, st.text()))
def test_scanner_cuts_text_as_regex_does(scanner, text):
    check(scanner, text.encode())


@settings(max_examples=300, deadline=None)
@given(data=st.one_of(st.binary(), TRICKY.map(lambda t: t.encode()[1:-1])))
def test_scanner_cuts_any_bytes_as_regex_does(scanner, data):
    check(scanner, data)


@given(data=st.lists(st.sampled_from(range(0xC0, 0x100)) | st.integers(0x7E, 0xC0), max_size=8))
def test_scanner_reads_broken_utf8_as_python_does(scanner, data):
    check(scanner, bytes(data))


@pytest.mark.parametrize("context", ["a{0}a", " {0} ", "1{0}{0}1", "'{0}", "\n{0}.\n"])
def test_scanner_knows_every_unicode_category(scanner, context):
    by_category: dict[str, list[str]] = {}
    for point in range(sys.maxunicode + 1):
        character = chr(point)
        members = by_category.setdefault(unicodedata.category(character), [])
        if len(members) < 40 or point % 997 == 0:
            members.append(character)
    del by_category["Cs"]  # surrogates are no characters: see the tests of bytes
    assert len(by_category) >= 29
    for members in by_category.values():
        check(scanner, "".join(context.format(character) for character in members).encode())


@pytest.mark.parametrize(
    "data", [b"a" * 300_000, b"\n " * 150_000, b"1" * 300_000, b"\t" * 300_000]
)
def test_scanner_is_linear_in_one_long_run(scanner, data):
    check(scanner, data)


@settings(max_examples=200, deadline=None)
@given(text=TRICKY, cut=st.integers(0, 200))
def test_a_streamed_text_is_cut_as_the_whole_is(scanner, text, cut):
    data = (text * 3).encode()
    whole, streamed = compiled.Counter(scanner.pattern), compiled.Counter(scanner.pattern)
    whole.add(data)
    taken = streamed.add(data[:cut], is_last=False)
    streamed.add(data[taken:])
    assert sorted(streamed.items()) == sorted(whole.items())


def test_the_pieces_of_a_users_pattern_cover_the_text():
    assert split("ab12cd3", r"\d+") == [b"ab", b"12", b"cd", b"3"]
    assert split("ab", r"x*") == [b"ab"]


def test_cl100k_is_tiktokens_pattern_written_for_everybody():
    theirs = regex.compile(
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
        r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
    )

    @settings(max_examples=400)
    @given(TRICKY)
    def check_text(text):
        assert [p.decode() for p in split(text, "cl100k")] == theirs.findall(text)

    check_text()


@pytest.mark.slow
def test_scanner_cuts_the_whole_standard_library_as_regex_does(scanner):
    for path in Path(sysconfig.get_paths()["stdlib"]).rglob("*.py"):
        if "site-packages" not in path.parts:
            check(scanner, path.read_bytes())
