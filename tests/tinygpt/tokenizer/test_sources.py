"""Text for a tokenizer's training: what is found, how much it is, and how it is read."""

from __future__ import annotations

import os

import pytest

from tinygpt.text import DataError
from tinygpt.tokenizer.counting import WordCounts
from tinygpt.tokenizer.sources import characters, count, find_all, open_text, size


@pytest.fixture
def texts(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone two\r\n")
    (tmp_path / "more").mkdir()
    (tmp_path / "more/b.txt").write_bytes(b"two three")
    (tmp_path / "more/.hidden.txt").write_bytes(b"secret")
    return find_all([str(tmp_path / "a.txt"), "stories", str(tmp_path / "more")])


def test_files_and_corpora_are_found_in_order_with_notes(texts):
    found, notes = texts
    assert [one if isinstance(one, str) else one.name for one in found] == [
        "a.txt", "stories", "b.txt",
    ]
    assert len(notes) == 1 and "hidden" in notes[0]
    with pytest.raises(DataError, match="no file or folder"):
        find_all(["stories", "/nowhere"])


def test_the_size_is_the_sum_of_the_files_where_all_can_say(texts, tmp_path):
    found, _ = texts
    assert size([found[0], found[2]]) == 12 + 9 and size([]) == 0
    assert size(found) is None
    os.mkfifo(tmp_path / "pipe")
    assert size(find_all([str(tmp_path / "pipe")])[0]) is None
    assert size(find_all(["-"])[0]) is None


def test_a_file_is_read_as_text_or_byte_by_byte(texts):
    assert open_text(texts[0][0]).read() == b"one two\n"
    assert open_text(texts[0][0], raw=True).read() == b"\xef\xbb\xbfone two\r\n"
    assert list(characters([texts[0][0], texts[0][2]])) == ["one two\n", "two three"]


@pytest.mark.parametrize(("raw", "read"), [(False, 8 + 9), (True, 12 + 9)])
def test_words_are_counted_and_what_was_read_is_reported(texts, raw, read):
    reported = []
    with WordCounts("gpt2") as words:
        total = count([texts[0][0], texts[0][2]], words, reported.append, raw)
        counts = dict(words.items())
    assert total == read == sum(reported)
    assert counts[b" two"] == 1 and counts[b"two"] == 1 and counts[b" three"] == 1
    assert (b"\xef\xbb\xbf" in counts) == raw


def test_a_corpus_is_counted_document_by_document(monkeypatch):
    from tinygpt.text.corpus import Corpus, Document

    documents = [Document("x", lambda: iter(["one ", "two"])), Document("y", lambda: iter(["two"]))]
    monkeypatch.setattr(
        "tinygpt.tokenizer.sources.load_corpus",
        lambda name: Corpus(name, lambda: iter(documents), ""),
    )
    with WordCounts("gpt2") as words:
        assert count(["stories"], words, lambda read: None, raw=False) == 10
        assert dict(words.items()) == {b"one": 1, b" two": 1, b"two": 1}
    assert list(characters(["stories"])) == ["one two", "two"]
