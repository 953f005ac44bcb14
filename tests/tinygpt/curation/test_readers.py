"""readers/: what each format says, and what of a damaged file is named."""

import gzip
import json
import sys

import numpy as np
import pytest

from tests.tinygpt.curation.folders import f1, prose
from tests.tinygpt.curation.pages import pages
from tinygpt.curation import readers, source
from tinygpt.curation.readers import Read, Refused, html, read, trafilatura
from tinygpt.curation.source import Source, find
from tinygpt.errors import UserError


def source_of(path, start=0, stop=None):
    return Source(path, path.name, start, path.stat().st_size if stop is None else stop)


def written(path, data):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return source_of(path)


def test_a_long_text_is_cut_at_blank_lines_and_nothing_is_lost(tmp_path, monkeypatch):
    text = "\n\n".join(prose(seed) for seed in range(20))
    monkeypatch.setattr(readers, "LONGEST", 3000)
    monkeypatch.setattr(readers.cut, "__defaults__", (3000,))
    found = list(read(written(tmp_path / "book.txt", text)))
    assert "".join(one.text for one in found) == text
    assert all(one.text.endswith("\n\n") for one in found[:-1])
    assert [one.label for one in found[:2]] == ["#1", "#2"]


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 50])
def test_the_stretches_of_a_dump_hold_each_line_once(tmp_path, parts):
    path = tmp_path / "dump.jsonl"
    texts = [f"document {i} " * (i % 5 + 1) for i in range(40)]
    path.write_text("".join(json.dumps({"content": text}) + "\n" for text in texts))
    size = path.stat().st_size
    edges = [size * i // parts for i in range(parts + 1)]
    found = [
        one for a, b in zip(edges, edges[1:], strict=False) for one in read(source_of(path, a, b))
    ]
    assert [one.text for one in found] == texts
    assert len({one.label for one in found}) == 40


def test_lines_that_are_no_document_are_named_with_their_bytes(tmp_path):
    lines = ['{"text": "good"}', "{broken", '{"no": 1}', '["list"]', '{"text": "also good"}']
    found = list(read(written(tmp_path / "d.jsonl", "\n".join(lines))))
    assert [one.text for one in found if isinstance(one, Read)] == ["good", "also good"]
    assert sum(one.size for one in found if isinstance(one, Refused)) == 8 + 10 + 9


def test_a_table_without_a_named_column_gives_its_longest(tmp_path):
    rows = "a,b\n" + "".join(f'{i},"a cell with many words, number {i}"\n' for i in range(5))
    found = list(read(written(tmp_path / "t.csv", rows)))
    assert found[3].text == "a cell with many words, number 3"
    numbers = list(read(written(tmp_path / "n.csv", "a,b\n1,2\n3,4\n")))
    assert "no column of text" in numbers[0].why


def test_a_packed_file_is_its_text_and_a_bomb_is_refused(tmp_path, monkeypatch):
    (found,) = read(written(tmp_path / "a.txt.gz", gzip.compress(b"some words")))
    assert found.text == "some words"
    monkeypatch.setattr(source, "SLACK", 1 << 20)
    bomb = gzip.compress(b"a" * (2 << 20))
    found = list(read(written(tmp_path / "bomb.txt.gz", bomb)))
    assert "bomb" in found[-1].why and found[-1].size == len(bomb)
    (found,) = read(written(tmp_path / "cut.txt.gz", gzip.compress(b"words " * 999)[:-9]))
    assert "damaged gzip" in found.why


PAGE = """<!DOCTYPE html><html><head><title>Title</title><style>p {{}}</style></head><body>
<header><nav><ul><li><a href="/">Home</a><li><a href="/x">About us</a></ul></nav></header>
<div class="menu"><a href="/1">One of many links in a row</a> <a href="/2">Another such link,
long enough to look like a sentence of text if one only counts its letters</a></div>
<h1>The heading</h1>{}<script>var x = "never {{ shown }}";</script>
<div>Share</div><div>Like</div><footer>All rights reserved by somebody</footer></body></html>"""


def test_a_page_gives_its_paragraphs_and_heading_alone():
    paragraphs = [*prose(5).split("\n\n"), "“Yes,” she said.", *prose(6).split("\n\n")]
    page = PAGE.format("".join(f"<p>{p}</p>\n" for p in paragraphs))
    assert html.main_text(page).split("\n\n") == ["The heading", *paragraphs]


def test_the_text_of_pages_in_many_layouts_is_found(tmp_path):
    """By our own reader and, where it is installed, by trafilatura."""
    known = list(pages(60))
    own = [f1(html.main_text(page), text) for page, text in known]
    assert np.mean(own) >= 0.95 and min(own) >= 0.85
    pytest.importorskip("trafilatura", reason="the extra html is not installed")
    other = [f1(trafilatura.main_text(page), text) for page, text in known]
    assert np.mean(other) >= 0.85
    (found,) = read(written(tmp_path / "p.html", known[0][0]), trafilatura=True)
    assert found.text == trafilatura.main_text(known[0][0]) and "\n\n" in found.text


def test_trafilatura_is_asked_for_and_missed_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    with pytest.raises(UserError, match="pip install trafilatura"):
        list(read(written(tmp_path / "p.html", PAGE), trafilatura=True))


def test_a_page_in_the_encoding_that_it_names(tmp_path):
    text = "Съешь же ещё этих мягких французских булок, да выпей чаю. " * 3
    page = f'<meta charset="koi8-r"><body><p>{text}</p>'.encode("koi8-r")
    (found,) = read(written(tmp_path / "p.html", page))
    assert found.text == text.strip() and found.encoding == "koi8-r"


def test_a_page_of_a_thousand_tags_inside_each_other_ends(tmp_path):
    (found,) = read(written(tmp_path / "deep.html", "<div>" * 5000 + "text"))
    assert "inside each other" in found.why


def test_code_in_a_page_keeps_its_lines():
    assert html.main_text("<pre>def f(x):\n    return x + 1  # one more than before</pre>") == (
        "def f(x):\n    return x + 1  # one more than before"
    )


def test_what_is_left_out_is_named(tmp_path):
    for name in (".git/x.txt", "env/pyvenv.cfg", "env/a.txt", "a.txt", "b.xyz", "empty.txt"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("" if "empty" in name else "words")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in")
    found = find(tmp_path / "in", {".txt"}, tmp_path / "out")
    assert [one.name for one in found.sources] == ["a.txt"]
    assert {name: why for name, _, why in found.left} == {
        ".git": "hidden", "env": "a virtual environment", "loop": "a link to a folder",
        "b.xyz": "no reader for .xyz", "empty.txt": "empty",
    }


def test_half_a_character_in_a_dump_ends_nothing(tmp_path):
    lines = '{"text": "a \\ud800 b"}\n{"text": "\\ud83d\\ude42 whole"}\n'
    found = [one.text for one in read(written(tmp_path / "d.jsonl", lines))]
    assert found == ["a \ufffd b", "\U0001f642 whole"]
    assert all(text.encode() for text in found)
