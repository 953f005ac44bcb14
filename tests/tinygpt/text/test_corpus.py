"""Corpora: which documents they hold, in pieces of any size, and what they refuse."""


import numpy as np
import pytest

from tinygpt.data import prepare
from tinygpt.text import DataError, load_corpus, reading


def write(path, data):
    path.write_bytes(data)
    return path


def test_folder_is_read_in_sorted_order_texts_only(folder):
    names = [document.name for document in load_corpus(folder)]
    assert names == sorted(names) and len(names) == 20


def test_python_corpus_is_the_library_without_packages_and_tests():
    names = [document.name for document in load_corpus("python")]
    assert "argparse.py" in names and "json/decoder.py" in names
    assert not [n for n in names if "site-packages" in n or n.startswith("test/")]
    assert names == sorted(names, key=lambda name: name.split("/"))


def test_bom_and_line_ends_are_cleaned(tmp_path):
    path = write(tmp_path / "a.txt", b"\xef\xbb\xbfone\r\ntwo\n")
    assert next(iter(load_corpus(path))).text == "one\ntwo\n"


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 7, 64])
def test_pieces_join_to_the_whole_text_whatever_their_size(tmp_path, monkeypatch, piece):
    text = "naïve café\n\u4f60\u597d\u4e16\u754c\nno end \U0001f600\U0001f600 " * 3
    monkeypatch.setattr(reading, "PIECE", piece)
    assert next(iter(load_corpus(write(tmp_path / "a.txt", text.encode())))).text == text


def test_a_text_in_pieces_has_the_ids_of_the_whole(tmp_path, monkeypatch):
    text = "One line, then another.\n\n\n  indented 123\n\tand more\n" * 200
    path = write(tmp_path / "a.txt", text.encode())
    whole = prepare(path, "bpe", tmp_path / "whole", vocab_size=300)
    monkeypatch.setattr(reading, "PIECE", 100)
    pieces = prepare(path, whole.tokenizer, tmp_path / "pieces")
    np.testing.assert_array_equal(whole.train[:], pieces.train[:])


@pytest.mark.parametrize("piece", [4, 1 << 20])
def test_bytes_that_are_not_utf8_name_file_and_offset(tmp_path, monkeypatch, piece):
    path = write(tmp_path / "latin.txt", b"fine\nalso fine\n" + b"caf\xe9 au lait\n")
    monkeypatch.setattr(reading, "PIECE", piece)
    with pytest.raises(DataError, match=r"latin\.txt is not UTF-8: byte 0xe9 at offset 18"):
        _ = next(iter(load_corpus(path))).text
    assert "caf\ufffd au lait" in next(iter(load_corpus(path, errors="replace"))).text


def test_a_character_cut_off_at_the_end_is_an_error(tmp_path):
    path = write(tmp_path / "a.txt", "caf\u00e9".encode()[:-1])
    with pytest.raises(DataError, match="offset 3"):
        _ = next(iter(load_corpus(path))).text


def test_empty_missing_and_textless_sources_say_so(tmp_path):
    with pytest.raises(DataError, match="empty"):
        load_corpus(write(tmp_path / "empty.txt", b""))
    with pytest.raises(DataError, match="no file or folder"):
        load_corpus(tmp_path / "nowhere")
    (tmp_path / "bare").mkdir()
    with pytest.raises(DataError, match="no .txt, .md, .py files"):
        load_corpus(tmp_path / "bare")


def test_fingerprint_follows_content_not_time(folder):
    before = load_corpus(folder).fingerprint
    (folder / "00.txt").write_text((folder / "00.txt").read_text())
    assert load_corpus(folder).fingerprint == before
    (folder / "00.txt").write_text("changed")
    assert load_corpus(folder).fingerprint != before


def test_stories_are_as_long_as_asked_for_and_never_nothing():
    for megabytes in (0.0, -1.0, float("nan")):
        with pytest.raises(DataError, match=r"must be above 0"):
            load_corpus("stories", stories_mb=megabytes)
    for megabytes in (0.01, 0.5):  # below a million too
        size = sum(len(document.text) for document in load_corpus("stories", stories_mb=megabytes))
        assert 0.9e6 * megabytes <= size <= 1.2e6 * megabytes + 5000


def test_another_generator_is_another_corpus(monkeypatch):
    """Prepared tokens of stories are used again while the generator is the same."""
    from pathlib import Path

    before = load_corpus("stories", stories_mb=0.01).fingerprint
    assert load_corpus("stories", stories_mb=0.01).fingerprint == before
    assert load_corpus("stories", stories_mb=0.02).fingerprint != before
    assert load_corpus("stories", stories_mb=0.01, seed=1).fingerprint != before
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b"#")
    assert load_corpus("stories", stories_mb=0.01).fingerprint != before


def test_the_library_has_its_tests_where_they_are_asked_for(monkeypatch):
    from tinygpt.text import corpus

    def read(name, files, errors):
        return [file.name for file in files]

    monkeypatch.setattr(corpus, "_from_files", read)  # which files, not what is in them
    monkeypatch.setattr(corpus, "_is_utf8", lambda file: True)

    def tests(names):
        return {name for name in names if corpus.TESTS.intersection(name.split("/")[:-1])}

    library, whole = set(corpus.python_corpus()), set(corpus.python_corpus(include_tests=True))
    assert not tests(library) and library == whole - tests(whole)
    monkeypatch.setattr(corpus.Path, "exists", lambda path: False)
    assert set(load_corpus("python")) == library and set(load_corpus("python+tests")) == whole


@pytest.mark.parametrize("block", [3, 8, 1 << 20])
def test_marks_between_documents_are_counted_across_blocks(tmp_path, monkeypatch, block):
    monkeypatch.setattr(reading, "PIECE", block)
    path = write(tmp_path / "a.txt", b"one<|endoftext|>two<|endoftext|><|endoftext|>three")
    (note,) = load_corpus(path).notes
    assert "stands 3 times" in note
    assert load_corpus(write(tmp_path / "b.txt", b"one<|endoftext|")).notes == ()
