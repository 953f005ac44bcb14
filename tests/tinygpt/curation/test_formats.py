"""readers/ of office formats: known texts come back, hostile files are named and cost little."""

import gzip
import io
import random
import sys
import time
import zipfile

import pytest

from tests.tinygpt.curation import office
from tests.tinygpt.curation.folders import f1, prose
from tests.tinygpt.curation.test_readers import source_of, written
from tinygpt.curation import Account, curate
from tinygpt.curation.clean import clean
from tinygpt.curation.readers import Read, Refused, pdf, read

PARAGRAPHS = [*prose(1).split("\n\n"), "Größe < 3 & “naïve” — 漢字", *prose(2).split("\n\n")]


def test_docx(tmp_path):
    (found,) = read(written(tmp_path / "a.docx", office.docx(PARAGRAPHS)))
    assert found.text.split("\n\n") == PARAGRAPHS


def test_epub_in_the_order_of_its_spine(tmp_path):
    chapters = [PARAGRAPHS[:3], PARAGRAPHS[3:], ["The end."]]
    (found,) = read(written(tmp_path / "a.epub", office.epub(chapters)))
    assert found.text.split("\n\n") == [*PARAGRAPHS, "The end."]


def test_epub_that_was_packed_with_its_folder(tmp_path):
    with zipfile.ZipFile(io.BytesIO(office.epub([PARAGRAPHS]))) as book:
        moved = {f"epub/{name}": book.read(name) for name in book.namelist()}
    (found,) = read(written(tmp_path / "a.epub", office.zipped(moved)))
    assert found.text.split("\n\n") == PARAGRAPHS


@pytest.mark.parametrize("suffix", ["docx", "epub", "pdf", "parquet"])
def test_a_packed_office_file_is_read_as_the_file(tmp_path, suffix):
    if suffix == "parquet":
        pa = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pa.table({"text": ["one"]}), tmp_path / "a.parquet")
        whole = (tmp_path / "a.parquet").read_bytes()
    elif suffix == "pdf":
        pytest.importorskip("pypdf")
        whole = office.pdf(["A line of text."])
    else:
        whole = office.docx(PARAGRAPHS) if suffix == "docx" else office.epub([PARAGRAPHS])
    plain = list(read(written(tmp_path / f"a.{suffix}", whole)))
    packed = list(read(written(tmp_path / f"b.{suffix}.gz", gzip.compress(whole))))
    assert packed == plain and isinstance(packed[0], Read)
    (cut,) = read(written(tmp_path / f"c.{suffix}.gz", gzip.compress(whole)[:-9]))
    assert "damaged gzip" in cut.why


def test_pdf(tmp_path):
    pytest.importorskip("pypdf")
    text = prose(3, sentences=60).replace("\n\n", " ")
    words, lines = text.split(), [""]
    for word in words:
        lines[-1] += f" {word}"
        if len(lines[-1]) > 80:
            lines.append("")
    (found,) = read(written(tmp_path / "a.pdf", office.pdf(lines)))
    assert f1(clean(found.text), text) >= 0.97
    assert clean(found.text).count("\n") < 3


@pytest.mark.parametrize("column", ["text", "whatever"])
def test_parquet(tmp_path, column):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"id": [1, 2], column: ["one", "two"]}), tmp_path / "a.parquet")
    found = read(source_of(tmp_path / "a.parquet"))
    assert [one.text for one in found] == ["one", "two"]


def test_a_corpus_in_parquet_is_read_back(tmp_path):
    pytest.importorskip("pyarrow")
    from tinygpt.text import load_corpus

    (tmp_path / "in").mkdir()
    for seed in range(30):
        (tmp_path / f"in/{seed:02}.txt").write_text(prose(seed))
    curate(tmp_path / "in", tmp_path / "p", form="parquet")
    curate(tmp_path / "in", tmp_path / "j")
    texts = [[d.text for d in load_corpus(tmp_path / name)] for name in "pj"]
    assert texts[0] == texts[1] and len(texts[0]) == 30


@pytest.mark.parametrize("name, module", [("a.pdf", "pypdf"), ("a.parquet", "pyarrow")])
def test_what_is_not_installed_is_said(tmp_path, monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(pdf.importlib.util, "find_spec", lambda name: None)
    (found,) = read(written(tmp_path / name, b"%PDF-1.4 PAR1"))
    assert f"pip install {module}" in found.why


def test_a_pdf_that_hangs_is_ended(tmp_path, monkeypatch):
    pytest.importorskip("pypdf")
    child = tmp_path / "child.py"
    child.write_text(
        'import time\nprint(\'{"page": "read before it hung"}\', flush=True)\ntime.sleep(60)\n'
    )
    monkeypatch.setattr(pdf, "CHILD", child)
    monkeypatch.setattr(pdf, "LATEST", 1)
    found = list(read(written(tmp_path / "a.pdf", b"%PDF")))
    assert found[0].text == "read before it hung" and "more than 1 s" in found[1].why


def test_a_pdf_that_computes_without_end_is_ended(tmp_path, monkeypatch):
    pytest.importorskip("pypdf")
    pytest.importorskip("resource")
    child = tmp_path / "child.py"
    child.write_text(
        pdf.CHILD.read_text().replace("import pypdf", "say(page='read before')\n    pypdf = Slow")
        .replace("def main", "class Slow:\n    @staticmethod\n    def PdfReader(path):\n"
                 "        while True:\n            pass\n\n\ndef main")
    )
    monkeypatch.setattr(pdf, "CHILD", child)
    monkeypatch.setattr(pdf, "SECONDS", 1)
    found = list(read(written(tmp_path / "a.pdf", b"%PDF")))
    assert found[0].text == "read before" and "more than 1 s of computing" in found[1].why


def test_a_pdf_that_takes_all_memory_is_ended(tmp_path, monkeypatch):
    pytest.importorskip("pypdf")
    pytest.importorskip("resource")
    child = tmp_path / "child.py"
    child.write_text(
        pdf.CHILD.read_text().replace("import pypdf", "pypdf = Hungry")
        + "\n"
    )
    text = child.read_text().replace(
        "def main", "class Hungry:\n    @staticmethod\n    def PdfReader(path):\n"
        "        return bytearray(1 << 34)\n\n\ndef main"
    )
    child.write_text(text)
    monkeypatch.setattr(pdf, "CHILD", child)
    (found,) = read(written(tmp_path / "a.pdf", b"%PDF"))
    assert "takes more than 400 MB" in found.why


@pytest.mark.parametrize("name", sorted(office.bombs()))
def test_a_hostile_file_costs_little_and_is_named(tmp_path, name):
    source = written(tmp_path / name, office.bombs()[name])
    started = time.process_time()
    found = list(read(source))
    for one in found:
        assert isinstance(one, Read | Refused)
        if isinstance(one, Read):
            clean(one.text)
    assert time.process_time() - started < 30  # the bar's limit, of our own time
    assert found


def test_cut_and_altered_files_end_as_documents_or_as_refused(tmp_path):
    rng = random.Random(0)
    whole = {
        "docx": office.docx(PARAGRAPHS), "epub": office.epub([PARAGRAPHS]),
        "html": f"<html><body><p>{prose(1)}</p></body></html>".encode(),
        "csv": b'id,text\n1,"some words that are long enough"\n',
        "jsonl": b'{"text": "words"}\n',
    }
    (tmp_path / "in").mkdir()
    for number in range(60):
        suffix = rng.choice(sorted(whole))
        data = bytearray(whole[suffix])
        if rng.random() < 0.5:
            del data[rng.randrange(len(data)) :]
        for _ in range(rng.randrange(5)):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        (tmp_path / f"in/{number}.{suffix}").write_bytes(bytes(data))
    (tmp_path / "in/good.txt").write_text(prose(9))
    balance = curate(tmp_path / "in", tmp_path / "out")
    account = Account(tmp_path / "out")
    files = account.rows("SELECT * FROM files")
    account.close()
    assert len(files) == 61 and balance.kept > 0
    assert all(file["documents"] or file["why"] for file in files)
