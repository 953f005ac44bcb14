"""pipeline.py: the books balance, a kill loses nothing, workers change no byte."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.tinygpt.curation.folders import mixed, prose
from tinygpt.curation import Account, curate, pipeline, source
from tinygpt.curation.rules import settings
from tinygpt.errors import UsageError, UserError
from tinygpt.text import load_corpus
from tinygpt.text.split import plan_splits


@pytest.fixture
def folder(tmp_path):
    return mixed(tmp_path / "in")


def bytes_of(corpus):
    return {path.name: path.read_bytes() for path in sorted(Path(corpus).iterdir())}


def texts_of(corpus):
    return [document.text for document in load_corpus(corpus)]


@pytest.mark.parametrize("form", ["jsonl", "text"])
def test_every_byte_is_kept_or_has_the_rule_that_took_it(folder, tmp_path, form):
    balance = curate(folder, tmp_path / "out", form=form)
    files = [p for p in folder.rglob("*") if p.is_file()]
    assert balance.files == sum(path.stat().st_size for path in files) == (
        balance.read + balance.refused
    )
    assert balance.documents == balance.kept + sum(balance.removed.values())
    assert balance.kept == sum(len(text.encode()) for text in texts_of(tmp_path / "out"))


def test_every_document_balances_alone(folder, tmp_path):
    curate(folder, tmp_path / "out")
    account = Account(tmp_path / "out")
    rows = account.rows(
        "SELECT bytes, kept, (SELECT COALESCE(SUM(r.bytes), 0) FROM removed r "
        "WHERE r.document = d.id) AS taken FROM documents d"
    )
    account.close()
    assert len(rows) > 50 and all(row["bytes"] == row["kept"] + row["taken"] for row in rows)


def test_what_became_of_each_file(folder, tmp_path):
    curate(folder, tmp_path / "out")
    account = Account(tmp_path / "out")
    fates = {row["name"]: row["fate"] for row in account.rows("SELECT name, fate FROM documents")}
    files = {row["name"]: row for row in account.rows("SELECT * FROM files")}
    encodings = {row["encoding"] for row in account.rows("SELECT encoding FROM documents")}
    (copy,) = account.why("sub/copy of a.txt")
    account.close()
    assert fates["a.txt"] == fates["old.txt"] == fates["wide.md"] == fates["z.txt.gz"] == "kept"
    assert fates["page.html"] == fates["table.csv#1"] == "kept"
    assert fates["short.txt"] == "gopher.words"
    assert fates["sub/copy of a.txt"] == "exact.documents" and copy["copy_of"] is not None
    assert files["binary.txt"]["why"] == "is binary, not a text"
    assert files["photo.png"]["why"] == "no reader for .png"
    assert files["dump.jsonl"]["refused"] == len("{broken\n")
    assert encodings == {"utf-8", "cp1252", "utf-16-le"}


def test_workers_and_forms_of_parts_change_no_byte(folder, tmp_path, monkeypatch):
    curate(folder, tmp_path / "one")
    curate(folder, tmp_path / "again")
    monkeypatch.setattr(source, "PART", 4000)
    monkeypatch.setattr(source, "STRETCH", 9000)
    curate(folder, tmp_path / "parts")
    curate(folder, tmp_path / "two", workers=2)
    one, again = bytes_of(tmp_path / "one"), bytes_of(tmp_path / "again")
    assert one == again
    assert bytes_of(tmp_path / "two") == bytes_of(tmp_path / "parts")
    assert texts_of(tmp_path / "one") == texts_of(tmp_path / "parts")


class KilledError(Exception):
    pass


@pytest.mark.parametrize("at", (1, 2, 7, 12, 18, 25, 33, 60))
def test_what_was_interrupted_goes_on_to_the_same_bytes(folder, tmp_path, monkeypatch, at):
    """The process ends at the at-th time that a file gets its name."""
    monkeypatch.setattr(source, "PART", 10_000)
    curate(folder, tmp_path / "whole")
    real, left = os.replace, [at]

    def dies(*names):
        left[0] -= 1
        if left[0] == 0:
            raise KilledError
        real(*names)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", dies)
        try:
            curate(folder, tmp_path / "out")
        except KilledError:
            pass
    curate(folder, tmp_path / "out")
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "whole")


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX's")
@pytest.mark.parametrize("seconds", [0.6])
def test_a_real_kill(folder, tmp_path, seconds):
    curate(folder, tmp_path / "whole")
    command = [sys.executable, "-m", "tinygpt", "curate", str(folder), "--out"]
    process = subprocess.Popen([*command, str(tmp_path / "out"), "--workers", "1"])
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
    curate(folder, tmp_path / "out")
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "whole")


def test_what_is_done_is_not_done_again_but_what_changed_is(folder, tmp_path, monkeypatch):
    first = curate(folder, tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "STAGES", {})
        assert curate(folder, tmp_path / "out") == first
    (folder / "more.txt").write_text(prose(99))
    assert curate(folder, tmp_path / "out").kept > first.kept


def test_a_corpus_keeps_its_splits_when_it_is_trained_on(folder, tmp_path):
    curate(folder, tmp_path / "out")
    corpus = load_corpus(tmp_path / "out")
    given = [document.split for document in corpus]
    plan = plan_splits(corpus, (0.1, 0.45, 0.45), seed=5)
    assert [parts[0][0] for parts in plan] == given
    assert set(given) == {"train", "validation", "test"}
    manifest = json.loads((tmp_path / "out/corpus.json").read_text())
    assert manifest["splits"]["test"]["documents"] == given.count("test")


def test_the_corpus_inside_the_folder_is_not_curated_again(folder):
    first = curate(folder, folder / "corpus")
    (folder / "a.txt").touch()
    assert curate(folder, folder / "corpus").files == first.files


def test_a_folder_that_is_no_corpus_is_left_alone(folder, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/work.txt").write_text("precious")
    with pytest.raises(UsageError, match="not empty"):
        curate(folder, tmp_path / "mine")
    with pytest.raises(UsageError, match="nothing that can be read"):
        curate(tmp_path / "mine", tmp_path / "out") if not (
            (tmp_path / "mine/work.txt").unlink()
        ) else None
    with pytest.raises(UsageError, match="is not there"):
        curate(tmp_path / "nowhere", tmp_path / "out")


def test_trafilatura_is_in_the_plan_if_it_is_asked_for_and_missed_in_a_sentence(
    folder, tmp_path, monkeypatch
):
    found = source.find(folder, {".txt"}, tmp_path / "out")
    plan = pipeline.plan_of(found, settings.load(), "jsonl")  # as before there was the choice
    assert "trafilatura" not in plan["settings"]["reading"]
    (tmp_path / "rules.toml").write_text("[reading]\ntrafilatura = true\n")
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    with pytest.raises(UserError, match="pip install trafilatura"):
        curate(folder, tmp_path / "out", rules=tmp_path / "rules.toml")
