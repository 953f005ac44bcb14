"""clean.py: the same letters, spaces and lines for all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tinygpt.curation.folders import prose
from tinygpt.curation.clean import clean


@pytest.mark.parametrize("given_, made", [
    ("e\u0301t\u00e9", "été"),
    ("a\u00a0b\u3000c\td", "a b c d"),
    ("one  two   \n   three", "one two\n   three"),
    ("a\n\n\n\nb\u2029c", "a\n\nb\n\nc"),
    ("zero\u200bwidth soft\u00adhyphen \x07bell", "zerowidth softhyphen bell"),
    ("an exam-\nple and Jean-\nPaul", "an example and Jean-Paul"),
    ("a well-\nknown man, well-known here", "a well-known man, well-known here"),
    ("what <|endoftext|> says", "what says"),
    ("  indented\n    more", "  indented\n    more"),
    ("1 Réseau . . . . . . . . . . 7\n2 Disques ........ 9", "1 Réseau 7\n2 Disques 9"),
    ("the end .. .. .. ..  ..\n", "the end"),
    ("Wait .... what. . . no", "Wait .... what. . . no"),
])
def test_what_becomes_of(given_, made):
    assert clean(given_) == made


def test_what_stands_on_every_page_goes():
    pages = [f"The Ministry\n\n{prose(i)}\n\nPage {i} of 9" for i in range(1, 10)]
    text = clean("\f".join(pages))
    assert "Ministry" not in text and "Page" not in text
    assert all(prose(i).split("\n\n")[1] in text for i in range(1, 10))


def test_two_pages_are_no_rule():
    assert clean("Top\n\none\n\nend\fTop\n\ntwo\n\nend").count("Top") == 2


@given(st.text())
def test_clean_text_is_clean(text):
    once = clean(text)
    assert clean(once) == once
