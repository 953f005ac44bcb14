"""Bytes to characters: every encoding that is read, and the sentence for each that is not."""

import gzip
import io
import os
import shlex
import threading

import pytest

from tinygpt.text import DataError, load_corpus, reading
from tinygpt.text.files import TextFile, one_file
from tinygpt.text.reading import Reader, kept, lines, pieces, read_text

FRENCH = "Il était une fois “un” chat,\r\nau café.\r\n" * 30
LATIN = "Il était une fois un chat au café.\n" * 30


@pytest.mark.parametrize("piece", [8, 1 << 20])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"), (b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"),
        (b"\xfe\xff", "utf-16-be"), (b"\xff\xfe\0\0", "utf-32-le"), (b"\0\0\xfe\xff", "utf-32-be"),
    ],
)
def test_every_unicode_with_a_mark_gives_the_same_text(
    tmp_path, monkeypatch, piece, mark, encoding
):
    (tmp_path / "a.txt").write_bytes(mark + FRENCH.encode(encoding))
    monkeypatch.setattr(reading, "PIECE", piece)
    assert read_text(tmp_path / "a.txt") == FRENCH.replace("\r\n", "\n")


@pytest.mark.parametrize("name", ["UTF-16LE", "UTF-16BE", "UTF-32LE", "UTF-32BE"])
@pytest.mark.parametrize("text", [FRENCH, "Жил-был кот, и был он рыжий.\n" * 9, "a"])
def test_wide_text_without_a_mark_is_refused_with_its_name(tmp_path, name, text):
    (tmp_path / "a.txt").write_bytes(text.encode(name))
    with pytest.raises(DataError, match=f"looks like {name}.*iconv -f {name} -t UTF-8"):
        read_text(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("text", "encoding", "advised"),
    [
        (LATIN, "latin-1", "ISO-8859-1"), (FRENCH, "cp1252", "WINDOWS-1252"),
        ("é", "latin-1", "ISO-8859-1"),
        ("Жил-был кот, и был он рыжий.\n" * 9, "cp1251", "WINDOWS-1251"),
    ],
)
def test_the_advised_conversion_gives_the_text(tmp_path, text, encoding, advised):
    path = tmp_path / "it's old.txt"
    path.write_bytes(text.encode(encoding))
    with pytest.raises(DataError) as caught:
        read_text(path)
    advice = str(caught.value).rpartition(": `")[2].rstrip("`.")
    command = shlex.split(advice)
    assert command[2:] == [advised, "-t", "UTF-8", str(path), ">", "utf8.txt"]
    assert path.read_bytes().decode(command[2]) == text


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (gzip.compress(b"text", mtime=0), "is packed by gzip, not a text"),
        (b"PK\x03\x04 and more", "is a ZIP archive"),
        (b"%PDF-1.7\n", "is a PDF"),
        (bytes(range(256)), "is binary"),
        (b"\0" * 100, "is binary"),
        (b"text " * 1000 + b"\0\xff" + b"more " * 1000, "0xff at offset 5001.*no text has"),
        ("żółw ".encode() * 9 + b"\xff", "0xff at offset 72.*is damaged.*iconv -c -f UTF-8"),
        (b"\xff\xfe" + "ab".encode("utf-16-le") + b"\0", "begins as UTF-16-LE does and is not"),
    ],
)
def test_what_is_no_text_is_called_what_it_is(tmp_path, data, said):
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(DataError, match=said):
        read_text(tmp_path / "a.txt")


def test_a_stray_zero_in_a_text_is_the_authors_business(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one line\n" * 50 + b"\0" + b"two lines\n" * 50)
    assert read_text(tmp_path / "a.txt").count("\0") == 1


def test_bytes_are_replaced_where_that_is_asked_for(tmp_path):
    (tmp_path / "a.txt").write_bytes(LATIN.encode("latin-1"))
    (tmp_path / "b.txt").write_bytes("\ufeffab".encode("utf-16-le") + b"\0")
    read = {n: "".join(pieces(one_file(tmp_path / n), "replace")) for n in ("a.txt", "b.txt")}
    assert read["a.txt"] == LATIN.replace("é", "\ufffd") and read["b.txt"] == "ab\ufffd"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lines_of_a_conversation_come_one_by_one(encoding):
    said = "Où est\r\nMia?\n\nlà"
    assert list(lines(io.BytesIO(said.encode(encoding)), "x")) == ["Où est", "Mia?", "", "là"]
    with pytest.raises(DataError, match="0xe9 at offset 7"):
        list(lines(io.BytesIO(b"one\ncaf\xe9\n"), "x"))


def test_a_line_does_not_wait_for_the_next():
    source, sink = os.pipe()
    with open(source, "rb") as stream:
        os.write(sink, b"hello\n")
        assert next(lines(stream, "x")) == "hello"
        os.close(sink)


def test_a_reader_gives_blocks_in_any_size():
    blocks = [b"", b"abc", b"defg", b"h"]
    assert Reader(iter(blocks)).read() == b"abcdefgh"
    reader = Reader(iter(blocks))
    assert [reader.read(2) for _ in range(5)] == [b"ab", b"cd", b"ef", b"gh", b""]


def test_a_pipe_is_kept_to_be_read_again_and_then_removed(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(b"once\n",)).start()
    copy = kept(one_file(tmp_path / "pipe"))
    path = copy.path
    assert ["".join(pieces(copy)) for _ in range(2)] == ["once\n", "once\n"]
    del copy
    assert not path.exists()


def test_an_endless_pipe_of_zeros_is_refused_at_its_beginning(monkeypatch):
    with open("/dev/zero", "rb") as endless:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(endless))
        with pytest.raises(DataError, match="standard input is binary"):
            kept(TextFile("stdin", "standard input", None))


def test_a_euro_sign_alone_tells_windows_from_iso(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"it costs 5 \x80, and no more than that\n")
    with pytest.raises(DataError, match="WINDOWS-1252"):
        _ = next(iter(load_corpus(path))).text
