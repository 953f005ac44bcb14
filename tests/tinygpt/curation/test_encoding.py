"""encoding.py: what bytes are taken for."""

import io

import pytest

from tinygpt.curation.encoding import decoded, encoding_of
from tinygpt.storage.reading import FormatError

TEXT = "Ein schöner Tag, naïve café — and some more words.\n" * 40


def read(data):
    def opened():
        return io.BytesIO(data)

    encoding, mark = encoding_of(opened)
    return encoding, "".join(decoded(opened, encoding, mark))


@pytest.mark.parametrize("written, named", [
    ("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16-le"), ("utf-16-le", "utf-16-le"),
    ("utf-16-be", "utf-16-be"), ("utf-32-le", "utf-32-le"), ("cp1252", "cp1252"),
])
def test_the_text_comes_back_whatever_it_was_written_in(written, named):
    assert read(TEXT.encode(written)) == (named, TEXT)


def test_a_last_byte_decides_too():
    data = b"plain text\n" * 800_000 + "é".encode("cp1252")
    assert read(data)[0] == "cp1252"


def test_line_ends_across_blocks():
    assert read(b"a\r\nb\rc\n")[1] == "a\nb\nc\n"
    block = b"x" * ((4 << 20) - 1) + b"\r\n"
    assert read(block)[1].count("\n") == 1


def test_a_hole_of_cp1252_is_marked():
    assert read(b"caf\xe9 \x81")[1] == "café \ufffd"


def test_binary_is_refused():
    with pytest.raises(FormatError, match="binary"):
        read(bytes(range(256)))
